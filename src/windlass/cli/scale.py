"""``windlass scale``: another number of replicas, now."""

from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.project import opened, project_options
from windlass.errors import UsageError


@click.command()
@click.argument("wanted", metavar="SERVICE=N...", nargs=-1, required=True)
@project_options
def scale(wanted: tuple[str, ...], file: Path, target: str | None) -> None:
    """Run N replicas of a SERVICE, until the next `windlass up` does what the project says."""
    project = opened(file, target)
    numbers = dict(_number(one, list(project.project.services)) for one in wanted)
    release, running = project.release(), project.running()
    for service, number in numbers.items():
        running.scale(release, service, number, output.progress)


def _number(text: str, services: list[str]) -> tuple[str, int]:
    service, _, number = text.partition("=")
    if service not in services:
        raise UsageError(f"there is no service `{service}`", found=", ".join(services))
    if not number.isdecimal() or int(number) > 1000:
        raise UsageError(f"`{text}` names no number of replicas", hint=f"say how many, up to 1000: `{service}=2`")
    return service, int(number)
