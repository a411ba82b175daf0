"""An engine on another machine sees no file of this one: what is mounted here has to be carried there."""

import hashlib
from dataclasses import dataclass
from typing import Any

from windlass.config.project import ComposeTarget
from windlass.generate.text import Files
from windlass.release import Release

Mapping = dict[str, Any]


def remote(release: Release) -> bool:
    """Tell whether the engine may be on another machine."""
    target = release.target
    return isinstance(target, ComposeTarget) and target.context is not None


def secret_variable(name: str) -> str:
    """Return the variable through which a secret file of this machine is handed to an engine on another."""
    return f"WINDLASS_SECRET_{name.upper().replace('-', '_')}"


@dataclass(frozen=True, slots=True)
class Configured:
    """An image of others with generated files in it; ``places`` are their paths in the container.

    ``steps`` are lines of a Dockerfile that have to come before, where the image lacks something.
    """

    name: str
    image: str
    places: dict[str, str]
    steps: str = ""


def configured(release: Release, wanted: Configured, texts: Files) -> Mapping:
    """Return how a container gets its generated files.

    They are mounted. Where the engine is on another machine they are built in instead. A label tells their digest,
    so that Compose makes the container anew when one changes.
    """
    together = "".join(f"{path}\0{texts[path]}\0" for path in sorted(wanted.places))
    digest = hashlib.sha256(f"{wanted.image}{wanted.steps}{together}".encode()).hexdigest()[:12]
    found: Mapping = {"image": wanted.image, "labels": {"windlass.configuration": digest}}
    binds = [
        {"type": "bind", "source": f"./{path}", "target": target, "read_only": True}
        for path, target in wanted.places.items()
    ]
    if not remote(release) and not wanted.steps:
        return {**found, "volumes": binds}
    copies = "".join(f"COPY {path} {target}\n" for path, target in wanted.places.items())
    found["image"] = f"{release.project.name}-{wanted.name}:{digest}"
    found["build"] = {"context": ".", "dockerfile_inline": f"FROM {wanted.image}\n{wanted.steps}{copies}"}
    return found
