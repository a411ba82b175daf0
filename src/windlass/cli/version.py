"""``windlass version``."""

import platform

import click

import windlass
from windlass.cli import output


@click.command()
@output.json_option
def version(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        output.as_json(
            {
                "windlass": windlass.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
            }
        )
    else:
        output.result(f"windlass {windlass.__version__}")
