"""What somebody wants measured, read from the words of a command line into values; every contradiction is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windlass.bench.levels import Level, parse_levels
from windlass.bench.questions import Inputs
from windlass.bench.ramp import Ramp
from windlass.bench.run import Plan
from windlass.bench.subject import Doors, Subject, parse_words
from windlass.bench.trust import Trust
from windlass.errors import UsageError

_USUAL = "1,4,16"
# Where a ramp goes when it is not told: no machine carries more.
_MOST_CLIENTS, _MOST_RATE = 1024.0, 1e6


@dataclass(frozen=True, slots=True)
class Order:
    """Which models, on the server at ``doors`` or else from ``repository``, asked what, under which load."""

    subjects: tuple[Subject, ...]
    doors: Doors | None
    repository: Path
    inputs: Inputs
    plan: Plan
    limit_us: float | None


def read_order(values: Mapping[str, Any]) -> Order:
    """Read the options of ``windlass bench`` by their names. Raises ``UsageError``."""
    subjects, doors = parse_words(values["what"], values["shares"])
    grpc_only = any(word.startswith("grpc") for word in values["what"] if "://" in word) and not any(
        word.startswith("http") for word in values["what"] if "://" in word
    )
    limit_us = None if values["limit"] is None else values["limit"] * 1e6
    return Order(
        subjects=subjects,
        doors=_trusting(doors, Trust(values["tls_ca"], values["tls_certificate"], values["tls_key"])),
        repository=values["repository"],
        inputs=Inputs(
            protocol=values["protocol"] or ("grpc" if grpc_only else "rest"),
            batch=values["batch"],
            data=_data(values["data"], subjects),
            seed=values["seed"],
            **_sizes(values["open_size"]),
        ),
        plan=_plan(values, len(subjects), limit_us),
        limit_us=limit_us,
    )


def _trusting(doors: Doors | None, trust: Trust) -> Doors | None:
    if trust != Trust() and not (doors and doors.encrypted):
        raise UsageError(
            "options `--tls-ca`, `--tls-certificate` and `--tls-key` are about servers that speak TLS",
            hint="name one by its address: `https://HOST:PORT`, or `grpcs://HOST:PORT`",
        )
    if bool(trust.certificate) != bool(trust.key):
        raise UsageError("options `--tls-certificate` and `--tls-key` come together", hint="give both or neither")
    return doors and replace(doors, trust=trust)


def _plan(values: Mapping[str, Any], models: int, limit_us: float | None) -> Plan:
    levels = _levels(values, models)
    return Plan(
        levels=levels,
        ramp=_ramp(levels, values, models, limit_us) if values["ramp"] else None,
        arrivals="poisson" if values["poisson"] else "constant",
        seed=values["seed"],
        in_flight=values["in_flight"],
        threads=values["threads"],
        timeout_s=values["timeout"],
        warm_up_s=values["warm_up"],
        window_s=_window(values["window"]),
        most_windows=values["windows"],
        stability=values["stability"] / 100,
    )


def _window(seconds: float) -> float:
    """Return a length in tenths of a second, which is what the generator counts in."""
    if seconds < 0.1:
        raise UsageError("option `--window`: expected 100ms or more", found=f"{seconds * 1e3:g}ms")
    return round(seconds, 1)


def _levels(values: Mapping[str, Any], models: int) -> tuple[Level, ...]:
    concurrency, rate = values["concurrency"], values["rate"]
    if concurrency and rate:
        raise UsageError(
            "`--concurrency` and `--rate` were both given",
            hint="a closed loop has clients, an open loop a rate: measure one after the other",
        )
    if rate:
        return parse_levels("rate", rate)
    levels = parse_levels("concurrency", concurrency or _USUAL)
    enough = tuple(level for level in levels if level.value >= models)
    if concurrency and enough != levels:
        raise UsageError(
            f"{levels[0]} is less than the number of models",
            found=f"{models} models",
            hint=f"each needs a client: take `--concurrency {models}` or more",
        )
    return enough or (Level("concurrency", models),)


def _ramp(levels: Sequence[Level], values: Mapping[str, Any], models: int, limit_us: float | None) -> Ramp:
    kind, numbers = levels[0].kind, [level.value for level in levels]
    given = values["rate"] or values["concurrency"]
    most = _MOST_RATE if kind == "rate" else _MOST_CLIENTS
    last = max(numbers) if given and len(numbers) > 1 else max(most, *numbers)
    return Ramp(kind, min(numbers), last, limit_us, least=max(models, 1))


def _data(texts: Sequence[str], subjects: Sequence[Subject]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    names = {name for subject in subjects for name in (subject.name, str(subject))}
    for text in texts:
        name, equals, path = text.partition("=")
        key, value = (name, path) if equals and name in names else ("", text)
        if key in found:
            raise UsageError(f"option `--data`: given twice for {f'model `{key}`' if key else 'all models'}")
        if not Path(value).exists():
            raise UsageError(f"option `--data`: `{value}` is not there", hint="name a file, a folder, or MODEL=PATH")
        found[key] = Path(value)
    return found


def _sizes(texts: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"sizes": {}}
    for text in texts:
        name, _, number = text.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            raise UsageError(f"option `--open-size`: expected [INPUT=]N with N over 0, got `{text}`")
        if name:
            told["sizes"][name] = int(number)
        else:
            told["open_size"] = int(number)
    return told
