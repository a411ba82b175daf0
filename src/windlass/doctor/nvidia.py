"""What there is of NVIDIA on this machine, from the bus to the driver's library; and versions of CUDA as numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.doctor.machine import Answer, Machine

_VENDOR, _DISPLAY = "0x10de", "0x03"
Version = tuple[int, int]
# The oldest driver that knows any release of a major version of CUDA.
OLDEST_DRIVER = {11: "450", 12: "525", 13: "580"}


@dataclass(frozen=True, slots=True)
class Nvidia:
    """Facts, as they were found.

    ``cards`` are on the bus, ``module`` is what the loaded driver says, ``nodes`` are its devices, ``closed`` those
    that this user may not open. ``smi`` is what ``nvidia-smi`` said, ``cuda`` what the driver's library did.
    """

    cards: int = 0
    module: str | None = None
    nodes: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    smi: Answer | None = None
    cuda: Mapping[str, Any] = field(default_factory=dict)
    cuda_state: str = "found"
    contained: bool = False
    nouveau: bool = False

    @property
    def present(self) -> bool:
        """Whether anything of a GPU is here."""
        answered = self.smi is not None and self.smi.status == 0
        return bool(self.cards or self.module or self.nodes or answered or self.devices)

    @property
    def devices(self) -> list[dict[str, Any]]:
        """The GPUs that the driver's library found."""
        return list(self.cuda.get("devices", ()))

    @property
    def driver(self) -> str:
        """The driver's version, from whoever tells it."""
        by_tool = re.search(r"Driver Version:\s*([\d.]+)", self._said())
        found = by_tool or re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", self.module or "")
        return found[1] if found else ""

    @property
    def speaks(self) -> Version | None:
        """The newest CUDA that the driver knows."""
        if number := self.cuda.get("version"):
            return int(number) // 1000, int(number) % 1000 // 10
        return version_of(found[1]) if (found := re.search(r"CUDA Version:\s*([\d.]+)", self._said())) else None

    def _said(self) -> str:
        return self.smi.text if self.smi else ""


def look(machine: Machine) -> Nvidia:
    """Gather everything, once for all checks."""
    return machine.once("nvidia", lambda: _look(machine))


def _look(machine: Machine) -> Nvidia:
    nodes = tuple(name for name in machine.names("dev") if name.startswith("nvidia") and name != "nvidia-caps")
    probe = machine.probe("cuda")
    return Nvidia(
        cards=sum(_is_card(machine, slot) for slot in machine.names("sys/bus/pci/devices")),
        module=machine.text("proc/driver/nvidia/version"),
        nodes=nodes,
        closed=tuple(name for name in nodes if not machine.may_use(f"dev/{name}")),
        smi=machine.ask("nvidia-smi"),
        cuda=probe.facts,
        cuda_state=probe.state,
        contained=contained(machine),
        nouveau="nouveau" in {line.split(" ")[0] for line in (machine.text("proc/modules") or "").splitlines()},
    )


def contained(machine: Machine) -> bool:
    """Tell whether this is a container."""
    files = {".dockerenv", "run/.containerenv"}
    return any(machine.is_there(name) for name in files) or "KUBERNETES_SERVICE_HOST" in machine.environment


def version_of(text: str) -> Version | None:
    """Read ``12.4`` or ``12``."""
    found = re.match(r"(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2] or 0)) if found else None


def shown(version: Version | None) -> str:
    """Write a version as people do."""
    return "unknown" if version is None else f"{version[0]}.{version[1]}"


def _is_card(machine: Machine, slot: str) -> bool:
    folder = f"sys/bus/pci/devices/{slot}"
    vendor, kind = machine.text(f"{folder}/vendor") or "", machine.text(f"{folder}/class") or ""
    return vendor.strip() == _VENDOR and kind.startswith(_DISPLAY)
