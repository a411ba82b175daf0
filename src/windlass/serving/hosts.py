"""Host policies: the cores that instances are kept to, as start commands say it: ``<policy>,cpu-cores=0-3``."""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from windlass.backends import Instance
from windlass.backends.placement import policy_of
from windlass.config import ModelConfig
from windlass.config.model_config_pb2 import ModelInstanceGroup
from windlass.errors import ServerError

Policies = Mapping[str, Collection[int]]

_NODES = Path("/sys/devices/system/node")
_HINT = (
    "keep instances to cores: `--host-policy=cpu,cpu-cores=0-3`, or to those of a node: `--host-policy=cpu,numa-node=0`"
)


def host_policies(texts: Iterable[str], nodes: Path = _NODES) -> Policies:
    """Return the cores by the name of their policy.

    Where a policy has both, ``cpu-cores`` counts. Raises ``ServerError`` for what cannot be read, and for cores that
    this process may not use.
    """
    by_node: dict[str, frozenset[int]] = {}
    by_core: dict[str, frozenset[int]] = {}
    for text in texts:
        name, comma, setting = text.partition(",")
        key, equals, value = setting.partition("=")
        if not (name and comma and equals):
            raise ServerError(f"host policy `{text}`: expected `<policy>,<setting>=<value>`", hint=_HINT)
        if key == "numa-node":
            by_node[name] = _usable(text, _of_node(text, value, nodes))
        elif key == "cpu-cores":
            by_core[name] = _usable(text, _cores(text, value))
        else:
            raise ServerError(f"host policy `{text}`: expected `cpu-cores` or `numa-node`, got `{key}`", hint=_HINT)
    return by_node | by_core


def _cores(text: str, value: str) -> frozenset[int]:
    """Read ``0-3`` or ``0,2,4-6``."""
    found: set[int] = set()
    for part in value.split(","):
        first, _, last = part.partition("-")
        last = last or first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < 65536):
            raise ServerError(f"host policy `{text}`: expected cores such as `0-3` or `0,2`, got `{value}`", hint=_HINT)
        found.update(range(int(first), int(last) + 1))
    return frozenset(found)


def _of_node(text: str, value: str, nodes: Path) -> frozenset[int]:
    try:
        return _cores(text, (nodes / f"node{int(value)}" / "cpulist").read_text().strip())
    except (OSError, ValueError):
        there = ", ".join(sorted(path.name.removeprefix("node") for path in nodes.glob("node[0-9]*"))) or "none"
        raise ServerError(f"host policy `{text}`: there is no node `{value}`, there are: {there}", hint=_HINT) from None


def _usable(text: str, cores: frozenset[int]) -> frozenset[int]:
    usable = os.sched_getaffinity(0)
    if absent := sorted(cores - usable):
        unusable, there = ", ".join(map(str, absent)), ", ".join(map(str, sorted(usable)))
        raise ServerError(f"host policy `{text}`: cores {unusable} cannot be used here, but: {there}", hint=_HINT)
    return cores


def cores_of(config: ModelConfig, instance: Instance, policies: Policies) -> list[int]:
    """Return the cores that an instance is kept to; none where it may use all."""
    return sorted(policies.get(policy_of(config, instance.name, instance.kind, instance.device), ()))


def shared_cores(config: ModelConfig, policies: Policies) -> frozenset[int]:
    """Return the cores for what the instances of a model share; none where one of them may use all."""
    found = [policies.get(name, ()) for group in config.instance_group for name in _names(group)]
    return frozenset().union(*found) if found and all(found) else frozenset()


def _names(group: ModelInstanceGroup) -> list[str]:
    if group.host_policy:
        return [group.host_policy]
    if group.gpus:
        return [f"gpu_{device}" for device in group.gpus]
    return ["model" if group.kind == ModelInstanceGroup.KIND_MODEL else "cpu"]
