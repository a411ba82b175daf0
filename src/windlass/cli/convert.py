"""``windlass convert``: from a Compose file of model services to Kubernetes manifests."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from windlass.cli import output
from windlass.cli.render import write
from windlass.errors import UsageError


@click.command()
@click.argument("compose", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where manifests are written.",
)
@click.option("-n", "--namespace", help="The namespace.  [default: the project's name]")
@click.option(
    "--profile", "profiles", multiple=True, metavar="NAME", help="Take services of this profile too; repeatable."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of the file; goes before `.env`; repeatable.",
)
@click.option("--storage-class", default="", help="The storage class of volumes.  [default: the cluster's]")
@click.option(
    "--volume-size", default="10Gi", show_default=True, help="Size of each volume: a Compose file does not say."
)
@click.option("--strict", is_flag=True, help="Exit with 1 where something has no equivalent.")
@click.option("--force", is_flag=True, help="Write over files that differ.")
def convert(
    compose: Path, folder: Path, profiles: tuple[str, ...], settings: tuple[str, ...], strict: bool, **options: Any
) -> None:
    """Make Kubernetes manifests of a COMPOSE file: of any services, written by anybody.

    Everything that has no equivalent in a cluster is told, and written into REPORT.md; nothing is dropped in silence.
    Values of variables that look like secrets (`*_PASSWORD`, `*_TOKEN`, ...) are written nowhere: the manifests name
    the Secret they are expected in.
    """
    from windlass.config.compose import read_compose
    from windlass.generate.convert import Choice, manifests

    variables = dict(_setting(one) for one in settings)
    read, findings = read_compose(compose, profiles, variables)
    choice = Choice(read.name, options["namespace"] or read.name, options["storage_class"], options["volume_size"])
    for finding in findings:
        output.progress(f"{finding.severity}: {finding.where}: {finding.message}")
        if finding.hint:
            output.progress(f"  hint: {finding.hint}")
    # The report is the same wherever the command is given.
    told = [replace(finding, where=finding.where.removeprefix(f"{compose.parent}/")) for finding in findings]
    for path in write(folder, manifests(read, told, choice), force=options["force"]):
        output.result(str(path))
    errors = any(finding.severity == "error" for finding in findings)
    sys.exit(output.BAD if errors or (strict and findings) else 0)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"`--set {text}` has no value", hint=f"say `--set {name}=VALUE`")
    return name, value
