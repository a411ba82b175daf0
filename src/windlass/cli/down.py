"""``windlass down``: stop and remove what runs."""

from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.project import opened, project_options
from windlass.errors import WindlassError


@click.command()
@project_options
@click.option("--volumes", is_flag=True, help="Remove what was kept too: caches, volumes of models, logs.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before volumes are removed.")
def down(file: Path, target: str | None, volumes: bool, yes: bool) -> None:
    """Stop everything on a target: servers first finish what they have begun."""
    project = opened(file, target)
    if volumes and not yes and not _agreed(f"Remove the volumes of {project.project.name} on {project.target} too?"):
        raise WindlassError("nothing was stopped or removed", hint="`--yes` removes volumes without a question")
    project.running().down(output.progress, volumes=volumes)
    output.progress(f"{project.project.name} is down on {project.target}")


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        # Nobody is there to answer, and the line has no end yet.
        output.progress("")
        return False
