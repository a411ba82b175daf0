"""``windlass logs``: what servers say."""

from contextlib import suppress
from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.project import opened, project_options


@click.command()
@click.argument("service", required=False)
@project_options
@click.option("--follow", is_flag=True, help="Go on with new lines as they come, until Ctrl-C.")
@click.option(
    "--tail", type=click.IntRange(min=0), default=100, show_default=True, help="The last lines of each replica."
)
def logs(service: str | None, file: Path, target: str | None, follow: bool, tail: int) -> None:
    """Print the log of a SERVICE, or of all, with the replica's name before each line."""
    lines = opened(file, target).running().logs(service, follow=follow, tail=tail)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        for line in lines:
            output.line(line)
