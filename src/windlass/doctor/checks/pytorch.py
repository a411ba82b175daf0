"""PyTorch: why ``torch.cuda.is_available()`` is false, and whether its build has code for the GPUs that are here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine, Probe
from windlass.doctor.nvidia import OLDEST_DRIVER, Nvidia, Version, look, shown, version_of

NAME = "pytorch"
LOOKS_AT = "PyTorch: its build has CUDA, the driver knows that CUDA, and there is code for the GPUs' architecture"

_INDEX = "https://download.pytorch.org/whl"
# The newest build for each major version of CUDA that a driver may know.
_BUILDS = {11: "cu118", 12: "cu126", 13: "cu130"}
# The last builds with code for older GPUs than current ones have.
_FOR_OLD = "cu126"


@dataclass(frozen=True, slots=True)
class Facts:
    """What PyTorch says of itself, beside what is known of the GPUs."""

    probe: Probe
    nvidia: Nvidia


def gather(machine: Machine) -> Facts:
    """Import PyTorch in a process of its own."""
    return Facts(machine.probe("torch"), look(machine))


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell what PyTorch can use."""
    probe = facts.probe
    if probe.state == "absent":
        return [Diagnosis(NAME, "ok", "PyTorch is not installed")]
    if probe.state != "found":
        return [_failed(probe, gpu=facts.nvidia.present)]
    version = f"PyTorch {probe.facts['version']}"
    if not facts.nvidia.present or probe.facts.get("rocm"):
        return [Diagnosis(NAME, "ok", f"{version} runs on the processor")]
    if not probe.facts["available"]:
        return [_unavailable(facts, version)]
    return [_architectures(probe, version)]


def _failed(probe: Probe, *, gpu: bool) -> Diagnosis:
    last = probe.said.strip().splitlines()[-1:] or ["it said nothing"]
    if probe.state == "hung":
        remedy = "sudo dmesg | grep -iE 'nvrm|xid'   # says why" if gpu else "python -X importtime -c 'import torch'"
        return _error("importing PyTorch does not end", last[0], remedy)
    return _error(
        "PyTorch cannot be imported",
        f"ended with {probe.facts.get('status')}: {last[0]}",
        "pip install --force-reinstall torch   # `python -c 'import torch'` shows all of it",
    )


def _unavailable(facts: Facts, version: str) -> Diagnosis:
    build, speaks = version_of(str(facts.probe.facts["cuda"] or "")), facts.nvidia.speaks
    if build is None:
        return _error(
            "this build of PyTorch is for processors only", f"{version}; a GPU is here", _install(speaks or (12, 0))
        )
    if not facts.nvidia.devices:
        what = f"{version} finds no GPU, nor does the driver: see `driver`"
        return Diagnosis(NAME, "warning", what, str(facts.probe.facts["said"]))
    if speaks and build[0] > speaks[0]:
        oldest = OLDEST_DRIVER.get(build[0], "a newer one")
        return _error(
            f"the driver is too old for this build's CUDA {shown(build)}",
            f"{version}; driver {facts.nvidia.driver} knows CUDA {shown(speaks)}; {oldest} or newer is needed",
            f"{_install(speaks)}   # or update the driver to {oldest} or newer",
        )
    said = str(facts.probe.facts["said"]) or "it does not say why"
    return _error(f"{version} finds no GPU, and the driver does", said, 'python -c "import torch; torch.cuda.init()"')


def _architectures(probe: Probe, version: str) -> Diagnosis:
    built = [str(name) for name in probe.facts["architectures"]]
    devices = [(str(one["name"]), tuple(one["capability"])) for one in probe.facts["devices"]]
    for name, capability in devices:
        if not runs(capability, built):
            newest = max(_numbers(built), default=(0, 0))
            remedy = _install((13, 0)) if capability > newest else f"pip install torch --index-url {_INDEX}/{_FOR_OLD}"
            return _error(
                f"this build of PyTorch has no code for {name} (`no kernel image is available`)",
                f"{version} has {' '.join(built)}; it needs sm_{capability[0]}{capability[1]}",
                remedy,
            )
    names = ", ".join(sorted({name for name, _ in devices}))
    return Diagnosis(NAME, "ok", f"{version} with CUDA {probe.facts['cuda']} has code for the GPUs here", names)


def runs(capability: Version, built: Iterable[str]) -> bool:
    """Tell whether a GPU executes code that was built for these architectures.

    Machine code runs on its own generation from its own model on, and what has an ``a`` behind it on that model only;
    intermediate code (``compute_90``) is translated for anything newer.
    """
    for name in built:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
        if found is None:
            continue
        kind, own, exact = found[1], (int(found[2]), int(found[3])), found[4] == "a"
        same_generation = own[0] == capability[0] and own <= capability
        if own == capability or (not exact and (same_generation if kind == "sm" else own <= capability)):
            return True
    return False


def _numbers(built: Iterable[str]) -> list[Version]:
    found = (re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[af]?", name) for name in built)
    return [(int(one[1]), int(one[2])) for one in found if one]


def _install(speaks: Version) -> str:
    build = _BUILDS.get(min(speaks[0], max(_BUILDS)), _BUILDS[min(_BUILDS)])
    return f"pip install --force-reinstall torch --index-url {_INDEX}/{build}"


def _error(what: str, found: str, remedy: str) -> Diagnosis:
    return Diagnosis(NAME, "error", what, found, remedy)
