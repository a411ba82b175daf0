"""Which request goes to which service. The order says who is asked first: names before patterns, long before short."""

import re
from dataclasses import dataclass

from windlass.config.project import Service
from windlass.release import Release


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for the models of one service, as a regular expression of paths."""

    service: str
    models: str
    """What matches the names of its models."""
    only: bool
    """Whether no other service takes such requests."""


def routes(release: Release) -> list[Route]:
    """Return the routes to services that speak the v2 protocol, most particular first."""
    services = {name: value for name, value in release.project.services.items() if value.runtime != "vllm"}
    if len(services) == 1:
        return [Route(name, "[^/]+", True) for name in services]
    ranked = sorted(services.items(), key=lambda item: _rank(item[1]))
    return [Route(name, "|".join(map(_expression, value.models)), False) for name, value in ranked]


def language_services(release: Release) -> list[str]:
    """Return the services with the API of OpenAI."""
    return [name for name, value in release.project.services.items() if value.runtime == "vllm"]


def _rank(service: Service) -> tuple[bool, int]:
    """Put services whose names are exact before patterns, and longer patterns before shorter ones."""
    patterns = [model for model in service.models if "*" in model or "?" in model or "[" in model]
    return bool(patterns), -min(map(len, patterns), default=0)


def _expression(model: str) -> str:
    """Turn a pattern of model names into a regular expression that ends at a slash."""
    parts = re.split(r"(\*|\?|\[!?[^\]]+\])", model)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if part in ("*", "?"):
        return {"*": "[^/]*", "?": "[^/]"}[part]
    if part.startswith("[") and part.endswith("]"):
        return f"[^{part[2:]}" if part.startswith("[!") else part
    return re.escape(part).replace("\\-", "-")
