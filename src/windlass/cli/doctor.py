"""``windlass doctor``: what on this machine keeps models from being served, or makes it slow."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli import output

if TYPE_CHECKING:
    from windlass.doctor import Diagnosis

_MODELS = Path("models")


@click.command()
@click.argument("repository", type=click.Path(path_type=Path), required=False)
@output.json_option
def doctor(repository: Path | None, as_json: bool) -> None:
    """Examine this machine: GPUs and frameworks, processor, limits, ports, disks, clock.

    What is found is compared with the models of REPOSITORY, by default those of ./models if it is there.

    Exits with 0 when models can be served, with 1 when something is wrong, with 2 when that could not be found out.
    """
    from windlass.doctor import Machine, examine
    from windlass.repository import scan

    if repository is not None:
        scan([repository])
    found = examine(Machine(repository=repository or (_MODELS if _MODELS.is_dir() else None)))
    if as_json:
        output.as_json([diagnosis.as_dict() for diagnosis in found])
    else:
        _show(found)
    sys.exit(output.BAD if any(diagnosis.severity == "error" for diagnosis in found) else 0)


def _show(found: "list[Diagnosis]") -> None:
    output.table(("", "check", "what", "found"), [(one.severity, one.check, one.what, one.found) for one in found])
    # Under the table, where a line may be as long as what is to be typed.
    for one in found:
        if one.remedy:
            output.result(f"{one.severity}: {one.check}: {one.what}\n  {one.remedy}")
