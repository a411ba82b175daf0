"""Files that were rendered for a target, beside the project file, and which of them are ours to remove."""

import json
from pathlib import Path

from windlass.generate import Files

# Which files were rendered, so that those of an older release go.
_LIST = "files.json"


def written(folder: Path) -> list[str]:
    """Return the files that were rendered into a folder."""
    file = folder / _LIST
    return list(json.loads(file.read_text())) if file.is_file() else []


def write(folder: Path, files: Files) -> None:
    """Make a folder hold these files, and none of those that were rendered before."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / ".gitignore").write_text("# What windlass keeps here is no source.\n*\n")
    for path in set(written(folder)) - files.keys():
        (folder / path).unlink(missing_ok=True)
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (folder / _LIST).write_text(json.dumps(sorted(files)))
