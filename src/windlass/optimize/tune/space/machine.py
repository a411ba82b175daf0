"""What a machine offers to engines, as a value. It is read in ``measure/machine.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Machine:
    """``cores`` are those this process may use; ``engines`` are installed, with their versions."""

    cpu: str
    cores: int
    memory_bytes: int
    flags: frozenset[str] = frozenset()
    engines: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    # What ONNX Runtime can execute on: `CUDAExecutionProvider`, ...
    providers: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()

    @property
    def half(self) -> str:
        """The half precision that this processor multiplies in hardware; empty where it has none."""
        if self.flags & {"amx_bf16", "avx512_bf16"}:
            return "bf16"
        return "f16" if self.flags & {"amx_fp16", "avx512_fp16"} else ""

    @property
    def dots_int8(self) -> bool:
        """Whether products of 8-bit integers are quicker than of floats."""
        return bool(self.flags & {"amx_int8", "avx512_vnni", "avx_vnni", "asimddp", "i8mm"})

    def text(self) -> str:
        """Describe it in a line."""
        shown = [flag for flag in _SHOWN if flag in self.flags]
        parts = [self.cpu or "processor without a name", f"{self.cores} core{'' if self.cores == 1 else 's'}"]
        parts.append(f"{self.memory_bytes / 2**30:.1f} GiB")
        parts += [", ".join(shown)] if shown else []
        return "; ".join([*parts, *self.gpus])


_SHOWN = ("amx_bf16", "amx_int8", "amx_fp16", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni", "avx2")
