"""Windows of a measurement: when they agree, and how several become one. Values only."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from windlass.bench.levels import Kind
from windlass.bench.outcome import Latencies, Outcome, join
from windlass.bench.throughput import closed_rate, open_rate

RATES: dict[Kind, Callable[[Outcome], float]] = {"concurrency": closed_rate, "rate": open_rate}
# As many windows in a row have to agree.
AGREEING = 3


@dataclass(frozen=True, slots=True)
class Window:
    """One window, of all models: answers a second, and their 99th percentile."""

    rate: float
    p99_us: float


def settled(windows: Sequence[Window], share: float) -> bool:
    """Tell whether rate and 99th percentile of the last three are each within a share of their mean."""
    last = windows[-AGREEING:]
    if len(last) < AGREEING:
        return False
    return all(_agree(values, share) for values in ([one.rate for one in last], [one.p99_us for one in last]))


def _agree(values: Sequence[float], share: float) -> bool:
    mean = sum(values) / len(values)
    return math.isfinite(mean) and all(abs(value - mean) <= share * mean for value in values)


@dataclass(frozen=True)
class Heard:
    """What came back to the generator: of several windows, or of several models, as if it were one."""

    rate: float
    requests: int
    seconds: float
    latencies: Latencies
    failures: dict[str, int]
    examples: dict[str, str]
    unsent: int
    delay_us: float

    @property
    def failed(self) -> float:
        """The share of the answers that were failures."""
        failed = sum(self.failures.values())
        return failed / (failed + self.requests) if failed else 0.0


def one_after_another(outcomes: Sequence[Outcome], kind: Kind) -> Heard:
    """Join the windows of one load."""
    seconds = sum(outcome.seconds for outcome in outcomes)
    rate = sum(RATES[kind](outcome) * outcome.seconds for outcome in outcomes) / seconds if seconds else 0.0
    return _heard(outcomes, rate, seconds)


def together(parts: Sequence[Heard]) -> Heard:
    """Join what several loads heard in the same time."""
    if len(parts) == 1:
        return parts[0]
    requests = sum(part.requests for part in parts)
    return Heard(
        rate=sum(part.rate for part in parts),
        requests=requests,
        seconds=max(part.seconds for part in parts),
        latencies=join([part.latencies for part in parts]),
        failures=dict(sum((Counter(part.failures) for part in parts), Counter())),
        examples={reason: text for part in parts for reason, text in part.examples.items()},
        unsent=sum(part.unsent for part in parts),
        delay_us=sum(part.delay_us * part.requests for part in parts) / requests if requests else 0.0,
    )


def window(outcomes: Sequence[Outcome], kind: Kind) -> Window:
    """Return one window of all loads."""
    joined = join([outcome.latencies for outcome in outcomes])
    return Window(sum(RATES[kind](outcome) for outcome in outcomes), joined.percentile(99))


def _heard(outcomes: Sequence[Outcome], rate: float, seconds: float) -> Heard:
    delays = join([outcome.delays for outcome in outcomes])
    failures: Counter[str] = Counter()
    for outcome in outcomes:
        failures.update(outcome.failures)
    return Heard(
        rate=rate,
        requests=sum(outcome.requests for outcome in outcomes),
        seconds=seconds,
        latencies=join([outcome.latencies for outcome in outcomes]),
        failures=dict(failures),
        examples={reason: text for outcome in outcomes for reason, text in outcome.examples.items()},
        unsent=sum(outcome.unsent for outcome in outcomes),
        delay_us=delays.mean_us if delays.count else 0.0,
    )
