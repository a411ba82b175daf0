"""``windlass render``: write what would be used, and touch nothing else."""

from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.project import file_option, opened
from windlass.errors import UsageError

# What is written beside what targets need.
PIPELINES = ("gitlab-ci", "github-actions", "argocd")


@click.command()
@click.argument("what", metavar="[TARGET|gitlab-ci|github-actions|argocd]", required=False)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where files are written; printed where left out.",
)
@file_option
@click.option("-t", "--target", metavar="NAME", help="The target that a pipeline deploys to.  [default: the first]")
@click.option("--force", is_flag=True, help="Write over files that differ.")
def render(what: str | None, folder: Path | None, file: Path, target: str | None, force: bool) -> None:
    """Write the files of a TARGET, or of a delivery pipeline: Dockerfiles, Compose, nginx, Kubernetes, CI.

    The same project gives the same bytes. No secret is ever among them.
    """
    from windlass.generate import render as rendering

    pipeline = what if what in PIPELINES else None
    project = opened(file, target if pipeline else what or target)
    release = project.release(folder or project.folder)
    files = rendering.pipeline(pipeline, release) if pipeline else rendering.files(release)
    if folder is None:
        for path, text in files.items():
            output.result(f"# ---- {path}\n{text}")
        return
    for written in write(folder, files, force=force):
        output.result(str(written))


def write(folder: Path, files: dict[str, str], *, force: bool) -> list[Path]:
    """Write files into a folder and return where they are; one that somebody edited is kept, unless forced."""
    edited = [path for path, text in files.items() if (folder / path).is_file() and (folder / path).read_text() != text]
    if edited and not force:
        raise UsageError(
            f"{len(edited)} file{'s' if len(edited) > 1 else ''} in `{folder}` would be written over",
            found=", ".join(edited[:5]) + (", …" if len(edited) > 5 else ""),
            hint="look at them with another `-o` and `diff -r`, or say --force",
        )
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return [folder / path for path in files]
