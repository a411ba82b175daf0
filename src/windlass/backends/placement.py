"""Where the instances of a model go: its groups spread over the devices there are. A function of values."""

from dataclasses import dataclass

from windlass.config import ModelConfig
from windlass.config.model_config_pb2 import ModelInstanceGroup
from windlass.errors import BackendError


@dataclass(frozen=True, slots=True)
class Placement:
    """One instance: its name, and the device it runs on."""

    name: str
    kind: str
    device: int


def placements(config: ModelConfig, gpus: int) -> list[Placement]:
    """Spread the instance groups of a normalised configuration over ``gpus`` devices and the CPU.

    ``KIND_AUTO`` takes the GPUs where there are any. Raises ``BackendError`` for a GPU that is not there.
    """
    return [place for group in config.instance_group for place in _group(config, group, gpus)]


def _group(config: ModelConfig, group: ModelInstanceGroup, gpus: int) -> list[Placement]:
    wants_gpu = group.kind == ModelInstanceGroup.KIND_GPU
    if group.kind == ModelInstanceGroup.KIND_AUTO:
        wants_gpu = gpus > 0 or bool(group.gpus)
    if not wants_gpu:
        kind = "MODEL" if group.kind == ModelInstanceGroup.KIND_MODEL else "CPU"
        return [Placement(f"{group.name}_{index}", kind, 0) for index in range(group.count)]
    prefix = f"instance group {group.name} of model {config.name}"
    if gpus == 0:
        raise BackendError(
            f"{prefix} has kind KIND_GPU but no GPUs are available",
            hint="use KIND_CPU, or KIND_AUTO for both",
        )
    devices = list(group.gpus) or list(range(gpus))
    for device in devices:
        if not 0 <= device < gpus:
            raise BackendError(
                f"{prefix} specifies invalid or unsupported gpu id {device}",
                hint=f"there are 0 to {gpus - 1}",
            )
    spots = [device for device in devices for _ in range(group.count)]
    return [Placement(f"{group.name}_{index}", "GPU", device) for index, device in enumerate(spots)]
