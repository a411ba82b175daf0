"""Threads against cores: limits of the cgroup, variables that set threads, and instances in the repository."""

import math
import os
from dataclasses import dataclass

from windlass.backends import cgroup
from windlass.backends.threads import VARIABLES, asked, on_processor
from windlass.config import normalise
from windlass.doctor.diagnosis import Diagnosis, Severity
from windlass.doctor.machine import Machine
from windlass.repository import ModelEntry, scan

NAME = "threads"
LOOKS_AT = "the CPU limit of the cgroup, `OMP_NUM_THREADS` and its like, and instances x threads of the models"

# The share of the scheduler's periods in which a group may be held back before it is felt.
_FELT = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that says how many threads it wants: what says it, and the sum over its instances."""

    model: str
    parameter: str
    instances: int
    total: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Cores of the machine, of them those this process may run on, and the cgroup's limit."""

    machine_cores: int
    allowed_cores: int
    limit: float | None
    periods: int
    throttled: int
    variables: tuple[tuple[str, str], ...]
    asked: tuple[Asked, ...]

    @property
    def cores(self) -> int:
        """The cores that may be used."""
        return self.allowed_cores if self.limit is None else max(1, min(self.allowed_cores, math.ceil(self.limit)))


def gather(machine: Machine) -> Facts:
    """Read limits, variables and configurations."""
    periods, throttled = cgroup.throttling(machine.root)
    entries = scan([machine.repository]).models.values() if machine.repository else ()
    return Facts(
        machine_cores=os.cpu_count() or 1,
        allowed_cores=len(os.sched_getaffinity(0)),
        limit=cgroup.cpu_limit(machine.root),
        periods=periods,
        throttled=throttled,
        variables=tuple((name, machine.environment[name]) for name in VARIABLES if name in machine.environment),
        asked=tuple(found for entry in entries if (found := _asked(entry))),
    )


def _asked(entry: ModelEntry) -> Asked | None:
    if entry.config is None:
        return None
    config = normalise(entry.config, entry.name)
    found = asked(config.backend, {name: value.string_value for name, value in config.parameters.items()})
    if found is None:
        return None
    parameter, threads = found
    instances = on_processor(config)
    # OpenVINO's number is for all instances together.
    return Asked(entry.name, parameter, instances, threads if config.backend == "openvino" else threads * instances)


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell what may be used, and what wants more."""
    return [_cores(facts), *_throttled(facts), *_variables(facts), *_models(facts)]


def _cores(facts: Facts) -> Diagnosis:
    limit = "no limit" if facts.limit is None else f"the cgroup allows {facts.limit:g}"
    found = f"the machine has {facts.machine_cores}, this process may run on {facts.allowed_cores}, {limit}"
    if facts.limit is not None and facts.limit < 1:
        remedy = "docker run --cpus=2 ...   # Compose and Kubernetes: `cpus: 2` of the service in windlass.yaml"
        return Diagnosis(NAME, "warning", "there is less than one core: every pause is felt", found, remedy)
    what = f"{facts.cores} core{'' if facts.cores == 1 else 's'} may be used, and engines start so many threads"
    return Diagnosis(NAME, "ok", what, found)


def _throttled(facts: Facts) -> list[Diagnosis]:
    if facts.periods == 0 or facts.throttled / facts.periods < _FELT:
        return []
    return [
        Diagnosis(
            NAME,
            "warning",
            "the cgroup is held back: more threads compute than it has cores for",
            f"in {facts.throttled} of {facts.periods} periods",
            "fewer threads or instances, or a higher limit; `windlass serve` shows instances x threads when it loads",
        )
    ]


def _variables(facts: Facts) -> list[Diagnosis]:
    found = []
    for name, text in facts.variables:
        # A list is one number for each level of nesting; the outermost counts.
        first = text.split(",")[0].strip()
        if not first.isdecimal() or int(first) == 0:
            found.append(Diagnosis(NAME, "warning", f"`{name}` is no number", f'"{text}"', f"unset {name}"))
        elif int(first) > facts.cores:
            remedy = f"unset {name}   # windlass sets what fits; or export {name}={facts.cores}"
            what = f"`{name}` starts more threads than there are cores"
            found.append(Diagnosis(NAME, _severity(int(first), facts.cores), what, f"{first} on {facts.cores}", remedy))
    return found


def _models(facts: Facts) -> list[Diagnosis]:
    return [
        Diagnosis(
            NAME,
            _severity(asked.total, facts.cores),
            f"`{asked.model}` asks for more threads than there are cores",
            f"`{asked.parameter}`: {asked.total} for {asked.instances} instance(s), on {facts.cores}",
            f"take `{asked.parameter}` out of its config.pbtxt: what fits is chosen when it loads",
        )
        for asked in facts.asked
        if asked.total > facts.cores
    ]


def _severity(threads: int, cores: int) -> Severity:
    return "error" if threads >= 2 * cores else "warning"
