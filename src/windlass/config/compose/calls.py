"""Ports that nobody declared: in a Compose project every port of a service can be called, so the callers are asked."""

import re
from collections.abc import Iterator
from dataclasses import replace

from windlass.config.compose.section import Notes
from windlass.config.compose.values import Kept, Port, Service


def with_called_ports(services: dict[str, Service], configs: dict[str, Kept], notes: Notes) -> dict[str, Service]:
    """Give services without a port those that others call them on: ``redis://redis:6379`` in a variable or a file."""
    said = [text for service in services.values() for text in _texts(service)]
    said += [config.content or "" for config in configs.values()]
    made = {}
    for name, service in services.items():
        names = "|".join(re.escape(one) for one in (name, *service.aliases))
        called = sorted(
            {int(port) for text in said for port in re.findall(rf"(?<![\w.-])(?:{names}):(\d{{2,5}})\b", text)}
        )
        if service.ports or not called:
            made[name] = service
            continue
        place = ("services", name)
        notes.add(
            place, f"no port is declared: {', '.join(map(str, called))} is what others call it on", "say it in `expose`"
        )
        made[name] = replace(service, ports=tuple(Port(port) for port in called))
    return made


def _texts(service: Service) -> Iterator[str]:
    yield from service.environment.values()
    yield " ".join((*(service.entrypoint or ()), *(service.command or ())))
