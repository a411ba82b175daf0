"""``windlass init``: the first project file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli import output
from windlass.errors import UsageError

if TYPE_CHECKING:
    from windlass.generate.project_file import FirstService
    from windlass.repository import ModelEntry

# Where repositories usually are, looked for in this order.
USUAL = ("models", "model_repository", "model-repository", "repository")


@click.command()
@click.argument("repository", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    default=Path("windlass.yaml"),
    show_default=True,
    help="The file to write.",
)
@click.option("--name", help="The project's name.  [default: that of the folder]")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(repository: Path | None, file: Path, name: str | None, force: bool) -> None:
    """Write a project file for a model REPOSITORY.

    Finds the repository (`models`, `model_repository`, ...), its models, their backends and whether they want GPUs.
    """
    from windlass.generate.project_file import name_of, project_file
    from windlass.repository import scan

    if file.exists() and not force:
        raise UsageError(f"`{file}` is there already", hint="say --force to write over it, or -o to write another")
    folder = file.resolve().parent
    found = repository or next((folder / usual for usual in USUAL if (folder / usual).is_dir()), folder / USUAL[0])
    entries = scan([found]).models if repository or found.is_dir() else {}
    backends = {model: ", ".join(entry.backends) for model, entry in entries.items()}
    text = project_file(
        name_of(name or folder.name), os.path.relpath(found, folder), backends, _services(entries, folder)
    )
    file.write_text(text)
    output.result(f"{file}: {len(entries)} model{'' if len(entries) == 1 else 's'} of `{os.path.relpath(found)}`")
    output.progress("hint: `windlass up` serves them here; `windlass up --target compose` in containers")


def _services(entries: "dict[str, ModelEntry]", folder: Path) -> "list[FirstService]":
    """Put models that want GPUs into a service of their own, where others do not."""
    from windlass.generate.project_file import FirstService

    needed = {name: _gpus(entry) for name, entry in entries.items()}
    requirements = "requirements.txt" if (folder / "requirements.txt").is_file() else ""
    if not any(needed.values()) or all(needed.values()):
        gpus = max(needed.values(), default=0)
        return [FirstService("models", ("'*'",), gpus, requirements)]
    with_gpu = tuple(name for name, count in needed.items() if count)
    without = tuple(name for name, count in needed.items() if not count)
    most = max(needed.values())
    return [FirstService("gpu", with_gpu, most, requirements), FirstService("cpu", without, 0, requirements)]


def _gpus(entry: "ModelEntry") -> int:
    """Tell how many GPUs a model's instances name; one where they want any."""
    groups = entry.config.instance_group if entry.config else []
    wanted = [group for group in groups if group.kind == group.KIND_GPU]
    return max((max(group.gpus, default=0) + 1 for group in wanted), default=0)
