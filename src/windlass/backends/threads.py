"""Threads that fit: how many compute for a model, of the cores that it may use. Functions of values."""

from collections.abc import Mapping
from dataclasses import dataclass

from windlass.backends.backend import LoadContext
from windlass.config import ModelConfig
from windlass.config.model_config_pb2 import ModelInstanceGroup

# The parameters that set a number of threads, by backend; the first that is there counts.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": ("intra_op_thread_count",),
    "openvino": ("INFERENCE_NUM_THREADS",),
    "pytorch": ("INTRA_OP_THREAD_COUNT", "NUM_THREADS"),
    "python": ("INTRA_OP_THREAD_COUNT",),
}
# What libraries of Python models read when they are imported. The first speaks for the others where they say nothing.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Threads:
    """How many threads compute for a model's instances on the processor, and the cores there are for them.

    ``each`` is what one instance may use. Where ``pooled``, instances have their threads together: ``each`` - 1 help
    whichever of them computes. ``setting`` names what set the number, where that was not chosen here.
    """

    instances: int
    each: int
    cores: int
    setting: str = ""
    pooled: bool = False

    @property
    def total(self) -> int:
        """How many compute at a time, at most."""
        return self.instances + self.each - 1 if self.pooled else self.instances * self.each

    def complaint(self) -> str:
        """Say what is wrong with a number that somebody set; nothing where it fits."""
        if not self.setting or self.total <= self.cores:
            return ""
        return f"`{self.setting}` lets {self.total} threads compute on {self.cores} cores, which slows all of them down"

    def __str__(self) -> str:
        """Write it for the log: ``2 x 4 threads on 8 cores``."""
        threads = "thread" if self.each == 1 else "threads"
        cores = "core" if self.cores == 1 else "cores"
        together = " together" if self.pooled and self.instances > 1 and self.each > 1 else ""
        return f"{self.instances} x {self.each} {threads}{together} on {self.cores} {cores}"


def asked(backend: str, parameters: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the parameter that sets a model's number of threads, with the number; ``None`` where none does."""
    for name in PARAMETERS.get(backend, ()):
        if parameters.get(name, "").isdecimal() and int(parameters[name]):
            return name, int(parameters[name])
    return None


def set_for(context: LoadContext, backend: str) -> tuple[str, int] | None:
    """Return the same of a model that is loaded, or of the server's settings; raises ``BackendError`` for no number."""
    for name in PARAMETERS[backend]:
        if number := context.whole_number(name, 0):
            return name, number
    return None


def set_outside(environment: Mapping[str, str]) -> str:
    """Return the variable by which a user sets the threads of libraries; nothing where none is set."""
    return next((name for name in VARIABLES if environment.get(name)), "")


def fitting(each: int, asked: tuple[str, int] | None, instances: int, cores: int, *, pooled: bool = False) -> Threads:
    """Return what somebody asked for, else what fits."""
    setting, number = asked or ("", each)
    return Threads(instances, number, cores, setting, pooled)


def share(cores: int, instances: int) -> int:
    """Return the threads of one of several instances that each have their own."""
    return max(1, cores // max(instances, 1))


def pool(cores: int, instances: int) -> int:
    """Return the threads of one pool for several instances: all cores are used when each of them computes."""
    return max(1, cores - max(instances, 1) + 1)


def on_processor(config: ModelConfig) -> int:
    """Return how many instances of a normalised configuration compute on the processor, where there is no GPU."""
    return sum(group.count for group in config.instance_group if group.kind != ModelInstanceGroup.KIND_GPU)
