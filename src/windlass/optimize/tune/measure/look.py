"""Loads the original as it is served, and tells its configuration in full. Runs in a process of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from windlass.optimize.tune.space.configuration import text
from windlass.repository import scan_model
from windlass.serving.solo import solo


def look(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Say what a version's configuration is once it is loaded."""
    with solo(scan_model(Path(job["model"])), job["version"]) as model:
        yield {"config": text(model.config)}
