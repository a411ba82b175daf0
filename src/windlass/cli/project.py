"""What every verb that works on a project shares: which file, which target, and how its faults are told."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output

if TYPE_CHECKING:
    from windlass.config import Finding
    from windlass.config.project import Project
    from windlass.release import Release
    from windlass.targets import Running


@dataclass(frozen=True, slots=True)
class Opened:
    """A project file that is right, as it is on one target."""

    project: "Project"
    target: str
    folder: Path
    siblings: "Mapping[str, Project]"

    def release(self, folder: Path | None = None) -> "Release":
        """Return what is to run; faults between project and repository end the program.

        ``folder`` is where files of it will be written; that of the target where left out.
        """
        from windlass import __version__
        from windlass.release import read_release
        from windlass.targets import STATE
        from windlass.targets.revision import revision

        place = folder.resolve() if folder else self.folder / STATE / self.target
        paths = {"root": os.path.relpath(self.folder, place), "place": os.path.relpath(place, self.folder)}
        revised = revision(self.folder)
        told = {"revision": revised, **paths}
        read = read_release(self.project, self.target, self.folder, __version__, siblings=self.siblings, **told)
        tell(read[1])
        return read[0]

    def running(self) -> "Running":
        """Return what runs it."""
        from windlass.targets import open_target

        return open_target(self.project, self.target, self.folder)


file_option = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    default=Path("windlass.yaml"),
    show_default=True,
    help="The project file, or its folder.",
)


def project_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--file`` and ``--target``."""
    named = click.option("-t", "--target", metavar="NAME", help="One of the project's targets.  [default: the first]")
    return named(file_option(command))


def opened(file: Path, target: str | None) -> Opened:
    """Read a project; every fault is told, and an error ends the program."""
    from windlass.config.project import Source

    source = Source.read(file)
    project, findings = source.project(target)
    tell(findings)
    if project is None:
        sys.exit(output.BAD)
    name = target or source.targets[0]
    return Opened(project, name, source.path.resolve().parent, source.siblings(name))


def tell(findings: "list[Finding]") -> None:
    """Print findings; with an error among them the program ends."""
    for finding in findings:
        output.progress(f"{finding.severity}: {finding.where}: {finding.message}")
        if finding.hint:
            output.progress(f"  hint: {finding.hint}")
    if any(finding.severity == "error" for finding in findings):
        sys.exit(output.BAD)
