"""Load on a running server: what is asked, how often, by the data plane's own generator.

In a closed loop so many clients ask again as soon as they are answered: it shows what a server can carry. In an open
loop requests come at a rate of their own, whether or not earlier ones are answered, and latency counts from the moment
a request was due: it shows what users feel. Warm-up, and when a measurement is stable, are the caller's matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from windlass import _plane
from windlass.bench.outcome import Interval, Latencies, Outcome
from windlass.bench.trust import Trust
from windlass.errors import UsageError


@dataclass(frozen=True, slots=True)
class Request:
    """A body, and headers that belong to it alone, such as ``Inference-Header-Content-Length``."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closed:
    """So many clients, each of which asks again when it is answered."""

    concurrency: int


@dataclass(frozen=True, slots=True)
class Open:
    """Requests a second, at even distances or as independent users send them; the same seed gives the same times.

    At most ``in_flight`` wait for answers at a time. A request that is due while that many do is sent later; its
    latency counts from when it was due all the same.
    """

    rate: float
    arrivals: Literal["poisson", "constant"] = "poisson"
    seed: int = 0
    in_flight: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to ask of whom. Requests are asked in turn, from first to last and again."""

    url: str
    """``http://``, ``https://``, ``grpc://`` or ``grpcs://``, a host and a port."""
    requests: Sequence[bytes | Request]
    """Bodies. For gRPC messages in their serialised form: ``ModelInferRequest`` unless ``path`` says otherwise."""
    mode: Closed | Open
    seconds: float
    path: str = ""
    """``/v2/models/resnet/infer``. For gRPC the call's, where it is not ``ModelInfer``."""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request, such as keys; gRPC calls them metadata."""
    timeout_s: float = 30.0
    """A request that has no answer so long after it was sent has failed."""
    connections: int | None = None
    """gRPC: how many share the requests under way; one for each six, as Triton's clients do, if not given."""
    trust: Trust = Trust()


def measure(load: Load, *, threads: int = 1) -> Outcome:
    """Ask as ``load`` says, and return what came of it. One thread makes more load than most servers can carry."""
    return measure_all([load], threads=threads)[0]


def measure_all(loads: Sequence[Load], *, threads: int = 1) -> list[Outcome]:
    """Ask as all loads say, at the same time; returns what came of each, in their order.

    Raises ``UsageError`` for a load that makes no sense or a server whose name is not known. That a server does not
    answer is no error but an outcome.
    """
    try:
        generator = _plane.LoadGenerator(threads=threads)
        for load in loads:
            generator.add(**_described(load))
        return [_outcome(**told) for told in generator.run()]
    except ValueError as error:
        raise UsageError(str(error)) from error


def _described(load: Load) -> dict[str, Any]:
    requests = [one if isinstance(one, Request) else Request(one) for one in load.requests]
    return {
        "url": load.url,
        "requests": [(one.body, list(one.headers.items())) for one in requests],
        "seconds": load.seconds,
        "path": load.path,
        "method": load.method,
        "headers": list(load.headers.items()),
        "timeout_s": load.timeout_s,
        "connections": load.connections,
        "authorities": load.trust.authorities,
        "certificate": load.trust.certificate,
        "key": load.trust.key,
        **_mode(load.mode),
    }


def _mode(mode: Closed | Open) -> dict[str, Any]:
    if isinstance(mode, Closed):
        return {"concurrency": mode.concurrency}
    return {"concurrency": mode.in_flight, "rate": mode.rate, "arrivals": mode.arrivals, "seed": mode.seed}


def _outcome(
    *, latencies: Mapping[str, Any], delays: Mapping[str, Any], intervals: Sequence[tuple[int, int, float]], **told: Any
) -> Outcome:
    return Outcome(
        latencies=Latencies(**latencies),
        delays=Latencies(**delays),
        intervals=tuple(Interval(*interval) for interval in intervals),
        **told,
    )
