"""``windlass up``: make what runs be what the project says."""

from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.build import pinned
from windlass.cli.project import opened, project_options


@click.command()
@project_options
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=900.0,
    show_default=True,
    help="Seconds to wait until all is ready.",
)
def up(file: Path, target: str | None, dry_run: bool, timeout: float) -> None:
    """Start the project on a target, or change what runs there to what the project says now.

    Waits until everything is ready. What an interrupted `up` has begun, the next one finishes and `windlass down`
    removes.
    """
    project = opened(file, target)
    release = project.release()
    running = project.running()
    if dry_run:
        output.result(running.plan(release) or "nothing would change")
        return
    if project.project.targets[project.target].kind == "compose":
        release, _ = pinned(project)
    running.up(release, output.progress, timeout_s=timeout)
    output.progress(f"{project.project.name} is ready on {project.target}")
