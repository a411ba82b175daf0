"""The container engine: there, reachable by this user, and able to hand GPUs to containers."""

import json
from dataclasses import dataclass
from typing import Any

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Answer, Machine
from windlass.doctor.nvidia import look

NAME = "containers"
LOOKS_AT = "Docker or Podman: reachable by this user, with NVIDIA's runtime or a CDI specification where there is a GPU"

_TOOLKIT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit"
_CDI_FOLDERS = ("etc/cdi", "var/run/cdi")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engines say, by name; ``specifications`` are files of CDI; ``toolkit``: NVIDIA's is installed."""

    engines: tuple[tuple[str, Answer], ...]
    specifications: tuple[str, ...]
    toolkit: bool
    gpu: bool
    contained: bool


def gather(machine: Machine) -> Facts:
    """Ask the engines that are installed."""
    said = [(name, machine.ask(name, "info", "--format", "{{json .}}")) for name in ("docker", "podman")]
    nvidia = look(machine)
    return Facts(
        engines=tuple((name, answer) for name, answer in said if answer is not None),
        specifications=tuple(name for folder in _CDI_FOLDERS for name in machine.names(folder) if "nvidia" in name),
        toolkit=machine.has("nvidia-ctk"),
        gpu=nvidia.present,
        contained=nvidia.contained,
    )


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell of each engine what it can do."""
    if not facts.engines:
        what = "this is a container, without an engine of its own" if facts.contained else "no container engine is here"
        return [Diagnosis(NAME, "ok", what, "serving needs none; `windlass build` and targets of kind `compose` do")]
    return [found for name, answer in facts.engines for found in _engine(name, answer, facts)]


def _engine(name: str, answer: Answer, facts: Facts) -> list[Diagnosis]:
    if answer.status:
        return [_unreachable(name, answer)]
    try:
        told: dict[str, Any] = json.loads(answer.text)
    except ValueError:
        told = {}
    version = told.get("ServerVersion") or told.get("version", {}).get("Version", "")
    if errors := told.get("ServerErrors"):
        return [_unreachable(name, Answer(1, str(errors[0])))]
    reachable = Diagnosis(NAME, "ok", f"{name} {version} answers".replace("  ", " "))
    return [reachable, _gpus(name, told, facts)] if facts.gpu else [reachable]


def _unreachable(name: str, answer: Answer) -> Diagnosis:
    said = answer.text.strip().splitlines()[-1] if answer.text.strip() else "it took too long"
    if "permission denied" in answer.text.lower():
        remedy = f"sudo usermod -aG {name} $USER   # and log in again"
        return Diagnosis(NAME, "warning", f"this user may not use {name}", said, remedy)
    remedy = f"sudo systemctl enable --now {name}   # `{name} context ls` shows which engine is asked"
    return Diagnosis(NAME, "warning", f"{name} is installed and does not answer", said, remedy)


def _gpus(name: str, told: dict[str, Any], facts: Facts) -> Diagnosis:
    runtime = "nvidia" in told.get("Runtimes", {})
    if runtime or facts.specifications:
        how = "NVIDIA's runtime" if runtime else f"CDI: {', '.join(facts.specifications)}"
        return Diagnosis(NAME, "ok", f"{name} can hand GPUs to containers", how)
    if not facts.toolkit:
        remedy = f"install NVIDIA's container toolkit ({_TOOLKIT}), then windlass doctor"
        return Diagnosis(NAME, "error", f"{name} cannot hand GPUs to containers", "no nvidia-ctk", remedy)
    register = (
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
        if name == "docker"
        else "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
    )
    found = "the toolkit is installed; neither a runtime `nvidia` nor a CDI specification is registered"
    return Diagnosis(NAME, "error", f"{name} does not know NVIDIA's toolkit", found, register)
