"""Makes one artefact of another: an export or a quantisation, whole or not at all. Runs in a process of its own."""

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from windlass.config import ModelConfig, parse_text
from windlass.optimize.source import Source
from windlass.optimize.tune.measure.jobs import Making
from windlass.optimize.tune.space.configuration import text
from windlass.repository.layout import CONFIG_FILE


def make(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write the files of an artefact and its configuration, which lies beside them."""
    job = Making.of(values)
    before = parse_text(job.parent_config.read_text(encoding="utf-8"), str(job.parent_config))
    fresh = job.folder.with_name(f".{job.folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    made = _written(job, Source(before, job.parent, job.name, job.model), fresh)
    (fresh / CONFIG_FILE).unlink(missing_ok=True)
    job.config.write_text(text(made), encoding="utf-8")
    fresh.replace(job.folder)
    yield {"made": job.folder.name}


def _written(job: Making, source: Source, folder: Path) -> ModelConfig:
    """Have ``windlass.optimize.export`` or ``windlass.optimize.quantize`` write the files."""
    writer = import_module(f"windlass.optimize.{job.step.verb}")
    more = [job.questions.samples(source.config)] if job.step.verb == "quantize" else []
    made: ModelConfig = writer.write(source, folder, job.step.to, *more)
    return made
