"""What a service is attached to: ports, volumes, files, networks, other services."""

import re
from collections.abc import Iterator
from typing import Any

from windlass.config.compose.amounts import size
from windlass.config.compose.section import Section
from windlass.config.compose.values import File, Mount, Port

_PORT = re.compile(
    r"(?:(?P<host>\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):)?(?:(?P<published>\d+(?:-\d+)?)?:)?"
    r"(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
# Options of a bind mount that concern the host alone.
_HOST_OPTIONS = {"z", "Z", "cached", "delegated", "consistent", "rw", "nocopy", "private", "rprivate", "shared"}


def ports(section: Section) -> Iterator[Port]:
    """Read ``ports`` and ``expose``."""
    for index, item in enumerate(section.listed("ports")):
        place = (*section.place, "ports", index)
        if isinstance(item, dict):
            long = Section(item, place, section.notes)
            long.take("mode"), long.take("name"), long.take("app_protocol")
            published = long.take("published")
            first = int(str(published).split("-")[0]) if published else None
            yield Port(
                int(long.take("target", 0)), first, str(long.take("protocol", "tcp")).upper(), long.take("host_ip", "")
            )
            long.finish()
        elif found := _PORT.fullmatch(str(item)):
            yield from _short(found)
        else:
            section.notes.add(place, f"expected a port like `8000:8000`, got `{item}`", severity="error")
    for item in section.listed("expose"):
        target, _, protocol = str(item).partition("/")
        for port in _range(target):
            yield Port(port, protocol=(protocol or "tcp").upper())


def published(section: Section, found: list[Port]) -> None:
    """Note what was reached on a port of the machine."""
    outside = [port for port in found if port.published is not None]
    if outside:
        shown = ", ".join(f"{port.published}" for port in outside)
        message = f"nothing listens on the machine's port {shown}: the Service is called inside the cluster"
        forward = f"service/{section.place[-1]} {outside[0].published}:{outside[0].target}"
        hint = f"route to it with an Ingress or HTTPRoute; to try it, `kubectl port-forward {forward}`"
        section.notes.add((*section.place, "ports"), message, hint)


def _short(found: "re.Match[str]") -> Iterator[Port]:
    targets = _range(found["target"])
    published: list[int | None] = [*_range(found["published"])] if found["published"] else [None] * len(targets)
    for index, target in enumerate(targets):
        outside = published[index] if index < len(published) else None
        yield Port(target, outside, (found["protocol"] or "tcp").upper(), found["host"] or "")


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def mounts(section: Section) -> Iterator[Mount]:
    """Read ``volumes`` and ``tmpfs``."""
    for index, item in enumerate(section.listed("volumes")):
        place = (*section.place, "volumes", index)
        if isinstance(item, dict):
            yield _long_mount(Section(item, place, section.notes))
        else:
            yield _short_mount(str(item), section, index)
    for item in section.listed("tmpfs"):
        target, _, options = str(item).partition(":")
        limit = re.search(r"size=(\w+)", options)
        yield Mount("tmpfs", target, size_bytes=size(limit[1]) if limit else None)


def _short_mount(text: str, section: Section, index: int) -> Mount:
    parts = text.split(":")
    if len(parts) == 1:
        # A volume without a name lives as long as its container.
        return Mount("volume", parts[0])
    source, target, options = parts[0], parts[1], parts[2].split(",") if len(parts) > 2 else []
    for option in set(options) - _HOST_OPTIONS - {"ro"}:
        section.notes.add(
            (*section.place, "volumes", index), f"the option `{option}` has no equivalent and was left out"
        )
    return Mount("bind" if _is_path(source) else "volume", target, source, "ro" in options)


def _long_mount(long: Section) -> Mount:
    kind, source, target = str(long.take("type", "volume")), str(long.take("source", "")), str(long.take("target", ""))
    read_only = bool(long.take("read_only", False))
    volume, tmpfs, bind = long.section("volume"), long.section("tmpfs"), long.section("bind")
    sub_path, limit = str(volume.take("subpath", "")), size(tmpfs.take("size"))
    (
        volume.take("nocopy"),
        bind.take("create_host_path"),
        bind.take("propagation"),
        bind.take("selinux"),
        long.take("consistency"),
    )
    for inner in (volume, tmpfs, bind, long):
        inner.finish()
    if kind not in ("volume", "bind", "tmpfs"):
        long.notes.add(long.place, f"a mount of type `{kind}` has no equivalent and became an empty folder")
        kind = "tmpfs"
    named: Any = kind
    return Mount(named, target, source, read_only, sub_path, limit)


def _is_path(source: str) -> bool:
    return source.startswith((".", "/", "~"))


def attached_files(section: Section, key: str, folder: str) -> Iterator[File]:
    """Read ``secrets`` or ``configs`` of a service: names, or mappings with a target."""
    for index, item in enumerate(section.listed(key)):
        if isinstance(item, dict):
            long = Section(item, (*section.place, key, index), section.notes)
            source, mode = str(long.take("source", "")), long.take("mode")
            target = str(long.take("target", source))
            long.note("uid", "files of secrets and configs belong to the pod's group", "say `group` with `user`")
            long.note("gid", "files of secrets and configs belong to the pod's group")
            long.finish()
            octal = int(str(mode), 8) if isinstance(mode, str) else mode
            yield File(source, target if target.startswith("/") else f"{folder}{target}", octal)
        else:
            yield File(str(item), f"{folder}{item}")


def networks(section: Section) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read ``networks`` of a service: their names, and other names of the service on them."""
    value = section.take("networks")
    if value is None:
        return ("default",), ()
    if isinstance(value, list):
        return tuple(map(str, value)), ()
    aliases: list[str] = []
    whole = Section(value, (*section.place, "networks"), section.notes)
    for name in value:
        one = whole.section(name)
        aliases += map(str, one.listed("aliases"))
        one.note("ipv4_address", "a pod has no address of its own choosing", "call the service by its name")
        one.note("ipv6_address", "a pod has no address of its own choosing", "call the service by its name")
        one.take("priority")
        one.finish()
    return tuple(value), tuple(aliases)


def after(section: Section) -> dict[str, str]:
    """Read ``depends_on``: names, and what each must have done first."""
    value = section.take("depends_on", [])
    if isinstance(value, list):
        return {str(name): "service_started" for name in value}
    found = {}
    for name in value:
        one = Section(value[name], (*section.place, "depends_on", name), section.notes)
        found[name] = str(one.take("condition", "service_started"))
        one.take("required")
        one.note("restart", "pods are not restarted with what they depend on")
        one.finish()
    return found
