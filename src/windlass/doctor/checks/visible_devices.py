"""``CUDA_VISIBLE_DEVICES``: the GPUs it names must be there, or programs silently see fewer of them, or none."""

from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine
from windlass.doctor.nvidia import look

NAME = "visible_devices"
LOOKS_AT = "`CUDA_VISIBLE_DEVICES` and `NVIDIA_VISIBLE_DEVICES`: what they name is there"

_REMEDY = "unset CUDA_VISIBLE_DEVICES   # or name GPUs by the numbers that `nvidia-smi -L` shows"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the variables say, and the identities of the GPUs, in order."""

    chosen: str | None
    given: str | None
    gpus: tuple[str, ...]


def gather(machine: Machine) -> Facts:
    """Read the variables."""
    gpus = tuple(str(device["uuid"]) for device in look(machine).devices)
    variables = machine.environment
    return Facts(variables.get("CUDA_VISIBLE_DEVICES"), variables.get("NVIDIA_VISIBLE_DEVICES"), gpus)


def judge(facts: Facts) -> list[Diagnosis]:
    """Compare names with what is there. A list counts up to its first name that means nothing."""
    count = len(facts.gpus)
    if facts.given in {"void", "none"} and not count:
        remedy = "docker run --gpus all ...   # or -e NVIDIA_VISIBLE_DEVICES=all"
        return [Diagnosis(NAME, "warning", "this container is given no GPU", _set("NVIDIA", facts.given), remedy)]
    if facts.chosen is None:
        return [Diagnosis(NAME, "ok", "every GPU is visible" if count else "no GPU is hidden")]
    found = f"{_set('CUDA', facts.chosen)}; there are {count}"
    names = [name.strip() for name in facts.chosen.split(",")]
    wrong = [name for name in names if not _there(name, facts.gpus)]
    if not count:
        return [Diagnosis(NAME, "note", "there is no GPU to choose from", found)]
    if not wrong:
        return [Diagnosis(NAME, "ok", f"{len(names)} of {count} GPUs are visible", _set("CUDA", facts.chosen))]
    if names[0] in wrong:
        return [Diagnosis(NAME, "error", "every GPU is hidden from programs", found, _REMEDY)]
    return [Diagnosis(NAME, "error", f"GPUs from `{wrong[0]}` on are hidden from programs", found, _REMEDY)]


def _there(name: str, gpus: tuple[str, ...]) -> bool:
    if name.isdigit():
        return int(name) < len(gpus)
    # Of an identity its beginning is enough. Parts of a GPU are named by identities of their own.
    return name.startswith("MIG-") or (name.startswith("GPU-") and any(gpu.startswith(name) for gpu in gpus))


def _set(prefix: str, value: str | None) -> str:
    return f'{prefix}_VISIBLE_DEVICES="{value}"'
