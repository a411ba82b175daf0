"""``windlass check``: everything wrong with a repository, at once."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from windlass.cli import output


@click.command()
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--load/--no-load", default=True, help="Also load every version, as serving would.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(repository: Path, load: bool, as_json: bool) -> None:
    """Check every model of REPOSITORY.

    Exits with 0 when all can be served, with 1 when something is wrong, with 2 when it could not be checked.
    """
    from windlass.repository import scan
    from windlass.serving.check import check_repository

    snapshot = scan([repository])
    findings = check_repository(snapshot) if load else snapshot.findings
    if as_json:
        output.as_json({"models": list(snapshot.models), "findings": [finding.as_dict() for finding in findings]})
    else:
        for finding in findings:
            shown = replace(finding, message=finding.message.rstrip())
            output.result(f"{shown.severity}: {shown.where}: {shown.message}")
            if shown.hint:
                output.result(f"  hint: {shown.hint}")
        errors = sum(finding.severity == "error" for finding in findings)
        count = len(snapshot.models)
        output.result(f"{count} model{'' if count == 1 else 's'}, {errors} error{'' if errors == 1 else 's'}")
    sys.exit(output.BAD if any(finding.severity == "error" for finding in findings) else 0)
