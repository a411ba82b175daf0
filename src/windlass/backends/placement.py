"""Where the instances of a model go: its groups spread over the devices there are. A function of values."""

from collections.abc import Callable
from dataclasses import dataclass

from windlass.config import ModelConfig
from windlass.config.model_config_pb2 import ModelInstanceGroup
from windlass.errors import PlacementError


@dataclass(frozen=True, slots=True)
class Placement:
    """One instance: its name, and the device it runs on."""

    name: str
    kind: str
    device: int


def placements(config: ModelConfig, count_gpus: Callable[[], int], only: int | None = None) -> list[Placement]:
    """Spread the instance groups of a normalised configuration over the GPUs and the CPU.

    GPUs are counted only where a group may want one; ``KIND_AUTO`` takes them where there are any. Raises
    ``PlacementError`` for a GPU that is not there. ``only`` chooses one by its number, for a process with one instance.
    """
    places = [place for group in config.instance_group for place in _group(config, group, count_gpus)]
    return places if only is None else [places[only]]


def policy_of(config: ModelConfig, instance: str, kind: str, device: int) -> str:
    """Return the host policy of an instance: that of its group, else the one of all instances on such a device."""
    group = instance.rpartition("_")[0]
    named = next((found.host_policy for found in config.instance_group if found.name == group), "")
    return named or (f"gpu_{device}" if kind == "GPU" else kind.lower())


def no_gpus() -> int:
    """Count for a backend that does not drive GPUs."""
    return 0


def _group(config: ModelConfig, group: ModelInstanceGroup, count_gpus: Callable[[], int]) -> list[Placement]:
    if group.kind in {ModelInstanceGroup.KIND_CPU, ModelInstanceGroup.KIND_MODEL}:
        kind = ModelInstanceGroup.Kind.Name(group.kind).removeprefix("KIND_")
        return [Placement(f"{group.name}_{index}", kind, 0) for index in range(group.count)]
    gpus = count_gpus()
    if gpus == 0 and group.kind == ModelInstanceGroup.KIND_AUTO and not group.gpus:
        return [Placement(f"{group.name}_{index}", "CPU", 0) for index in range(group.count)]
    prefix = f"instance group {group.name} of model {config.name}"
    hint = "use KIND_CPU, or KIND_AUTO, which takes a GPU where there is one"
    for device in group.gpus:
        if not 0 <= device < gpus:
            there = ", ".join(map(str, range(gpus)))
            raise PlacementError(
                f"{prefix} specifies invalid or unsupported gpu id {device}. GPUs with at least the minimum required "
                f"CUDA compute compatibility of 6.000000 are: {there}",
                hint=hint,
            )
    if gpus == 0:
        raise PlacementError(f"{prefix} has kind KIND_GPU but no GPUs are available", hint=hint)
    devices = list(group.gpus) or list(range(gpus))
    spots = [device for device in devices for _ in range(group.count)]
    return [Placement(f"{group.name}_{index}", "GPU", device) for index, device in enumerate(spots)]
