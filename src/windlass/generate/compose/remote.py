"""An engine on another machine sees no file of this one: what is mounted here has to be carried there."""

import hashlib
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


def configured(release: Release, image: str, texts: Files, places: dict[str, str]) -> Mapping:
    """Return an image together with generated files in it; ``places`` are their paths in the container.

    They are mounted. Where the engine is on another machine they are built in instead. A label tells their digest,
    so that Compose makes the container anew when one changes.
    """
    together = "".join(f"{path}\0{texts[path]}\0" for path in sorted(places))
    label = {"windlass.configuration": hashlib.sha256(together.encode()).hexdigest()[:12]}
    if remote(release):
        copies = "".join(f"COPY {path} {target}\n" for path, target in places.items())
        return {"build": {"context": ".", "dockerfile_inline": f"FROM {image}\n{copies}"}, "labels": label}
    binds = [
        {"type": "bind", "source": f"./{path}", "target": target, "read_only": True} for path, target in places.items()
    ]
    return {"image": image, "labels": label, "volumes": binds}
