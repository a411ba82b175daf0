"""``windlass check``: everything wrong with a project or a repository, at once."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli import output

if TYPE_CHECKING:
    from windlass.config import Finding
    from windlass.repository import Snapshot


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option("--load/--no-load", default=True, help="Also load every version, as serving would.")
@output.json_option
def check(path: Path, load: bool, as_json: bool) -> None:
    """Check a project (its file, or its folder) on every target, or a model repository.

    Exits with 0 when all can be served, with 1 when something is wrong, with 2 when it could not be checked.
    """
    from windlass.config.project import FILE

    is_project = path.is_file() or (path / FILE).is_file()
    models, findings = _project(path, load=load) if is_project else _repository(path, load=load)
    if as_json:
        output.as_json({"models": models, "findings": [finding.as_dict() for finding in findings]})
    else:
        for finding in findings:
            shown = replace(finding, message=finding.message.rstrip())
            output.result(f"{shown.severity}: {shown.where}: {shown.message}")
            if shown.hint:
                output.result(f"  hint: {shown.hint}")
        errors = sum(finding.severity == "error" for finding in findings)
        count = len(models)
        output.result(f"{count} model{'' if count == 1 else 's'}, {errors} error{'' if errors == 1 else 's'}")
    sys.exit(output.BAD if any(finding.severity == "error" for finding in findings) else 0)


def _repository(path: Path, *, load: bool) -> "tuple[list[str], list[Finding]]":
    from windlass.repository import scan

    snapshot = scan([path])
    return list(snapshot.models), _models(snapshot, load=load)


def _models(snapshot: "Snapshot", *, load: bool) -> "list[Finding]":
    from windlass.serving.check import check_repository

    return check_repository(snapshot) if load else snapshot.findings


def _project(path: Path, *, load: bool) -> "tuple[list[str], list[Finding]]":
    """Check the file for each of its targets, then its models; a fault that several targets have is told once."""
    from windlass import __version__
    from windlass.config.project import Source
    from windlass.release import read_release
    from windlass.repository import scan

    source = Source.read(path)
    folder = source.path.parent
    findings: dict[Finding, None] = {}
    repositories: dict[Path, None] = {}
    for target in source.targets:
        project, found = source.project(target)
        findings |= dict.fromkeys(found)
        if project is not None:
            findings |= dict.fromkeys(read_release(project, target, folder, __version__)[1])
            if project.repository.path is not None:
                repositories[folder / project.repository.path] = None
    snapshot = scan(list(repositories))
    return list(snapshot.models), [*findings, *_models(snapshot, load=load)]
