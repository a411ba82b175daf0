"""``windlass restart``: start servers anew."""

from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.project import opened, project_options


@click.command()
@click.argument("service", required=False)
@project_options
def restart(service: str | None, file: Path, target: str | None) -> None:
    """Start the servers of a SERVICE anew, or all; one after the other, so that the others go on serving."""
    opened(file, target).running().restart(service, output.progress)
