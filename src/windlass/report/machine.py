"""The machine that something was measured on: without it no figure means anything."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import windlass


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader has to know of it. ``cores``: those this process may use; ``load``: that of the last minute."""

    cpu: str
    cores: int
    memory_bytes: int
    features: tuple[str, ...]
    kernel: str
    python: str
    windlass: str
    load: float

    @staticmethod
    def here() -> "Machine":
        """Describe this one."""
        model, flags = _cpu()
        return Machine(
            cpu=model,
            cores=_cores(),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            features=tuple(name for flag, name in _FEATURES.items() if flag in flags),
            kernel=platform.release(),
            python=platform.python_version(),
            windlass=windlass.__version__,
            load=round(os.getloadavg()[0], 2),
        )


# What decides how fast models are, by the names of /proc/cpuinfo.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "avx_vnni": "AVX-VNNI",
    "amx_tile": "AMX",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "sve": "SVE",
}


def _cpu() -> tuple[str, set[str]]:
    model, flags = platform.processor() or platform.machine(), set[str]()
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            model = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = set(value.split())
            break
    return model, flags


def _cores() -> int:
    """Return the cores this process may use: no more than a control group grants it."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(min(cores, round(int(quota) / int(period))), 1)
