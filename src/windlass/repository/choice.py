"""How a person names one version of a model: ``resnet``, ``resnet:2``, or the model's folder."""

from pathlib import Path

from windlass.errors import RepositoryError
from windlass.repository.repository import ModelEntry, scan_model
from windlass.repository.versions import select


def choose(text: str, repository: Path) -> tuple[ModelEntry, int]:
    """Return the model and version that ``NAME[:VERSION]`` means; without a version the newest that is served.

    NAME may be the path of a model's folder. Raises ``RepositoryError`` for what is not there or cannot be served.
    """
    name, _, wanted = text.partition(":")
    folder = Path(name) if "/" in name else repository / name
    if not name or not folder.is_dir():
        raise RepositoryError(
            f"no model `{name}` in `{folder.parent}`",
            found=", ".join(_models(folder.parent)) or "no model",
            hint="name one of them, or another folder of models with `--repository`",
        )
    # A path may end in `.` or be relative to where somebody stands: the name is that of the folder all the same.
    entry = scan_model(folder.resolve() if folder.name in ("", ".", "..") else folder)
    if entry.errors:
        first = entry.errors[0]
        raise RepositoryError(first.message, where=first.where, hint=first.hint or "`windlass check` tells more")
    return entry, _version(entry, wanted)


def _models(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _version(entry: ModelEntry, wanted: str) -> int:
    there = ", ".join(map(str, sorted(entry.versions)))
    if wanted and not (wanted.isdecimal() and int(wanted) in entry.versions):
        raise RepositoryError(
            f"model `{entry.name}` has no version `{wanted}`", where=str(entry.path), found=f"version {there}"
        )
    if wanted:
        return int(wanted)
    served = select(entry.config, entry.versions) if entry.config else ()
    if not served:
        raise RepositoryError(
            f"model `{entry.name}` serves none of its versions",
            where=str(entry.config_path),
            found=f"version {there}",
            hint=f"name one: `{entry.name}:{max(entry.versions)}`, or change its `version_policy`",
        )
    return served[-1]
