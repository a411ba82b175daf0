"""A Compose file and what it builds on: variables, `extends`, `include`, profiles."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass.config.check import Finding
from windlass.config.compose.binds import unbound
from windlass.config.compose.calls import with_called_ports
from windlass.config.compose.interpolation import Unset, interpolated, variables_of
from windlass.config.compose.section import Notes, Section
from windlass.config.compose.service import SECRET_NAME, service
from windlass.config.compose.values import ComposeFile, Kept, Service
from windlass.config.yaml_text import Document, parse
from windlass.errors import ConfigError

# Lists of these keys are added to by who extends; others take the place of what is extended.
_ADDED = {
    "ports",
    "expose",
    "volumes",
    "secrets",
    "configs",
    "cap_add",
    "cap_drop",
    "security_opt",
    "tmpfs",
    "env_file",
}
_DEPTH = 10


def read_compose(
    path: Path, profiles: Sequence[str], variables: Mapping[str, str]
) -> tuple[ComposeFile, list[Finding]]:
    """Read a file; ``variables`` go before those of the `.env` beside it. Returns it and all that is to be told.

    Raises ``ConfigError`` where it cannot be read at all.
    """
    value, document = _text(path)
    env = path.parent / ".env"
    known = {**(variables_of(env.read_text()) if env.is_file() else {}), **variables}
    notes = Notes(str(path), document)
    unset: set[str] = set()
    try:
        value = interpolated(value, known, unset)
    except Unset as error:
        hint = f"add it to `{env}`, or say `--set {error.name}=VALUE`"
        raise ConfigError(f"{path}: {error}", where=str(path), hint=hint) from error
    for name in sorted(name for name in unset if not SECRET_NAME.search(name)):
        notes.add((), f"the variable `{name}` is not set: it became empty", f"say `--set {name}=VALUE`")
    value = _included(value, path, notes, known)
    whole = Section(value, (), notes)
    whole.take("version")
    name = _name(str(whole.take("name", path.resolve().parent.name)))
    services = _services(whole, path, name, set(profiles))
    if not services and not notes.found:
        raise ConfigError(f"{path}: there are no services", where=str(path), hint="name a Compose file")
    bound = {one: unbound(service, path.parent, notes) for one, service in services.items()}
    files = {kept.real_name: kept for _, configs, _ in bound.values() for kept in configs}
    secret_files = {kept.real_name: kept for _, _, secrets in bound.values() for kept in secrets}
    configs = {
        one: _config(_kept(one, section), path.parent, section) for one, section in whole.sections("configs")
    } | files
    made = ComposeFile(
        name,
        with_called_ports({one: service for one, (service, _, _) in bound.items()}, configs, notes),
        volumes={volume: _volume(volume, section) for volume, section in whole.sections("volumes")},
        internal_networks=frozenset(net for net, section in whole.sections("networks") if _is_internal(section)),
        secrets={one: _kept(one, section) for one, section in whole.sections("secrets")} | secret_files,
        configs=configs,
    )
    whole.take("include")
    whole.finish()
    return made, notes.found


def _text(path: Path) -> tuple[dict[str, Any], Document]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"`{path}` cannot be read", found=found, hint="name a Compose file") from error
    document = parse(text, str(path))
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: expected a mapping with `services`", where=str(path), hint="name a Compose file")
    return document.value, document


def _included(value: dict[str, Any], path: Path, notes: Notes, known: Mapping[str, str]) -> dict[str, Any]:
    """Lay the file over those that it includes."""
    under: dict[str, Any] = {}
    listed = value.get("include") or []
    for index, item in enumerate(listed if isinstance(listed, list) else [listed]):
        named = item.get("path") if isinstance(item, dict) else item
        for one in named if isinstance(named, list) else [named]:
            try:
                inner, _ = _text(path.parent / str(one))
                under = _over(under, interpolated(inner, known, set()))
            except (ConfigError, Unset) as error:
                notes.add(("include", index), f"`{one}` was not included: {error}", severity="error")
    return _over(under, value) if under else value


def _services(whole: Section, path: Path, project: str, profiles: set[str]) -> dict[str, Service]:
    found: dict[str, Service] = {}
    raw = whole.take("services", {})
    for name in raw if isinstance(raw, dict) else {}:
        place = ("services", name)
        try:
            extended = _extended(name, raw, path, 0)
            section = Section(extended, place, whole.notes)
            section.take("extends")
            wanted = set(map(str, section.listed("profiles")))
            if wanted and not wanted & profiles:
                names = ", ".join(f"`{one}`" for one in sorted(wanted))
                whole.notes.add(
                    place, f"left out: it belongs to the profile {names}", "say `--profile NAME` to have it"
                )
                continue
            found[name] = service(name, section, path.parent, project)
        except (ValueError, TypeError, KeyError, AttributeError, ConfigError) as error:
            whole.notes.add(place, str(error) or "cannot be read", severity="error")
    return _without_absent(found, whole.notes)


def _without_absent(services: dict[str, Service], notes: Notes) -> dict[str, Service]:
    """Take references to services that were left out away."""
    made = {}
    for name, one in services.items():
        for other in set(one.after) - set(services):
            notes.add(("services", name, "depends_on"), f"`{other}` is not there: nothing waits for it")
        made[name] = replace(one, after={other: how for other, how in one.after.items() if other in services})
    return made


def _extended(name: str, services: dict[str, Any], path: Path, depth: int) -> Any:
    """Return a service laid over the one that it extends, in this file or another."""
    value = services.get(name)
    if not isinstance(value, dict) or "extends" not in value:
        return value
    if depth > _DEPTH:
        raise ConfigError(f"`extends` of `{name}` goes round in a circle")
    extends = value["extends"]
    other = extends if isinstance(extends, str) else str(extends.get("service"))
    file = None if isinstance(extends, str) else extends.get("file")
    there = _text(path.parent / str(file))[0].get("services", {}) if file else services
    if other not in there:
        raise ConfigError(f"`extends`: there is no service `{other}`" + (f" in `{file}`" if file else ""))
    under = _extended(other, there, path.parent / str(file) if file else path, depth + 1)
    return _over({key: inner for key, inner in (under or {}).items() if key != "depends_on"}, value)


def _over(under: Any, over: Any, key: str = "") -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{name: _over(under.get(name), value, name) for name, value in over.items()}}
    if isinstance(under, list) and isinstance(over, list) and key in _ADDED:
        return [*under, *(item for item in over if item not in under)]
    return over


def _volume(name: str, section: Section) -> tuple[str, bool]:
    external = section.take("external", False)
    real = str(section.take("name", external.get("name") if isinstance(external, dict) else None) or name)
    section.take("driver"), section.take("labels")
    options = section.section("driver_opts")
    if options.take("type") or options.take("device"):
        message = "where the volume lies (`driver_opts`) is a matter of the storage class"
        section.notes.add(
            (*section.place, "driver_opts"), message, "make the PersistentVolume by hand, or name a storage class"
        )
    section.finish()
    return _name(real), bool(external)


def _is_internal(section: Section) -> bool:
    internal = bool(section.take("internal", False))
    section.note("external", "a network of others has no equivalent: policies name namespaces and pods")
    section.note("ipam", "the cluster gives addresses")
    section.note("driver_opts", "the cluster's own network is used")
    for key in ("driver", "name", "attachable", "labels", "enable_ipv6"):
        section.take(key)
    section.finish()
    return internal


def _kept(name: str, section: Section) -> Kept:
    external = section.take("external", False)
    made = Kept(
        name,
        external=bool(external),
        real_name=_name(str(section.take("name", name))),
        file=str(section.take("file", "")),
        environment=str(section.take("environment", "")),
        content=section.take("content"),
    )
    section.take("labels")
    section.finish()
    return made


def _config(kept: Kept, folder: Path, section: Section) -> Kept:
    """Read the file of a config; unlike a secret, it may be written elsewhere."""
    if not kept.file:
        return kept
    try:
        return replace(kept, content=(folder / kept.file).read_text())
    except (OSError, UnicodeDecodeError) as error:
        section.notes.add(section.place, f"`{kept.file}` cannot be read: {error}", severity="error")
        return kept


def _name(text: str) -> str:
    """Return a name that Kubernetes takes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].rstrip("-") or "project"
