"""The three files of a report."""

import json
from pathlib import Path

from windlass.errors import UsageError
from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.report.document import document
from windlass.optimize.tune.report.html import html
from windlass.optimize.tune.report.markdown import markdown


def write(outcome: Outcome, folder: Path) -> list[Path]:
    """Write ``optimize.md``, ``optimize.json`` and ``optimize.html`` into a folder; returns them.

    Raises ``UsageError`` where the folder cannot be written.
    """
    texts = {
        "optimize.md": markdown(outcome),
        "optimize.json": json.dumps(document(outcome), indent=1, ensure_ascii=False) + "\n",
        "optimize.html": html(outcome),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in texts.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write the report into `{folder}`: {error.strerror}", hint="name another folder with --report"
        ) from None
    return [folder / name for name in texts]
