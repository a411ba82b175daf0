"""Who may ask a service: everybody, people with a password, or programs with a key of the gateway or of a tenant."""

from dataclasses import dataclass
from typing import Literal

from windlass.config.project.gateway import Gateway, RateLimit
from windlass.release import Release


@dataclass(frozen=True, slots=True)
class Guard:
    """What one service wants of its callers. ``name`` tells sets of keys apart."""

    kind: Literal["open", "basic", "keys"]
    secret: str = ""
    name: str = ""


OPEN = Guard("open")


def guards(release: Release, gateway: Gateway) -> dict[str, Guard]:
    """Return the guard of every service: its tenant's keys, else what the gateway wants."""
    auth = gateway.auth
    usual = OPEN
    if auth is not None:
        usual = Guard("keys", auth.keys, "gateway") if auth.keys else Guard("basic", auth.basic or "", "gateway")
    found = {}
    for name, service in release.project.services.items():
        keys = release.project.tenants[service.tenant].keys if service.tenant else None
        found[name] = Guard("keys", keys, _variable(f"tenant_{service.tenant}")) if keys else usual
    return found


def key_sets(found: dict[str, Guard]) -> list[Guard]:
    """Return the different sets of keys."""
    return sorted({guard for guard in found.values() if guard.kind == "keys"}, key=lambda guard: guard.name)


def rate(limit: RateLimit) -> str:
    """Write a rate as nginx takes it: whole requests per second, or per minute."""
    if float(limit.requests_per_second).is_integer():
        return f"{limit.requests_per_second:.0f}r/s"
    return f"{max(1, round(limit.requests_per_second * 60))}r/m"


def _variable(name: str) -> str:
    return name.replace("-", "_")
