"""``windlass build``: the images of a project."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli import output
from windlass.cli.project import Opened, opened, project_options
from windlass.cli.render import write
from windlass.errors import UsageError
from windlass.generate import images

if TYPE_CHECKING:
    from windlass.release import Release
    from windlass.targets.docker.image import Builder, Built


@click.command()
@click.argument("names", metavar="[SERVICE]...", nargs=-1)
@project_options
@click.option("--lock", is_flag=True, help="Pin packages anew, to the newest that fit, and build with them.")
@click.option("--push", is_flag=True, help="Push the images to the project's registry.")
@click.option("--scan", is_flag=True, help="Look for known weaknesses with Trivy; any found is a failure.")
@click.option("--sbom", is_flag=True, help="Write a bill of materials (CycloneDX) for each image into `sbom/`.")
@click.option("--dry-run", is_flag=True, help="Print the name and the reference of each image, and build none.")
@output.json_option
def build(names: tuple[str, ...], file: Path, target: str | None, lock: bool, as_json: bool, **also: bool) -> None:
    """Build the images of services, or of all that have one; tell their sizes, layer by layer.

    The first build pins every package with its hash into `locks/`; commit these files, and every build is of the same
    packages until `--lock`.
    """
    project = opened(file, target)
    release, builder = prepared(project)
    wanted = list(names) or images.names(release)
    for name in wanted:
        if name not in images.names(release):
            raise UsageError(f"no image `{name}` is built", found=", ".join(images.names(release)) or "none is")
    if also["dry_run"]:
        for name in wanted:
            output.result(f"{name} {release.image(name)}")
        return
    release, builder = pinned(project, wanted, anew=lock)
    made = [_one(builder, release, name, project, also) for name in wanted]
    if as_json:
        output.as_json([asdict(one) for one in made])
    else:
        for one in made:
            _tell(one)


def prepared(project: Opened) -> "tuple[Release, Builder]":
    """Write what builds read; return the release, and who builds it."""
    from windlass.config.project import ComposeTarget
    from windlass.targets import STATE
    from windlass.targets.docker.engine import Docker
    from windlass.targets.docker.image import Builder

    place = project.folder / STATE / project.target
    where = project.project.targets[project.target]
    context = where.context if isinstance(where, ComposeTarget) else None
    release = project.release()
    write(place, images.files(release), force=True)
    return release, Builder(project.folder, place, Docker(context))


def pinned(project: Opened, wanted: list[str] | None = None, *, anew: bool = False) -> "tuple[Release, Builder]":
    """Pin the packages of images that were never pinned, or all ``anew``; the lock is part of an image's name."""
    release, builder = prepared(project)
    names = [name for name in wanted or images.names(release) if anew or not builder.pinned(release, name)]
    for name in names:
        builder.pin(release, name, output.progress)
    return prepared(project) if names else (release, builder)


def _one(builder: "Builder", release: "Release", name: str, project: Opened, also: dict[str, bool]) -> "Built":
    made = builder.build(release, name, output.progress)
    if also["sbom"]:
        write(project.folder / "sbom", {f"{name}.cdx.json": builder.describe(made)}, force=True)
        output.progress(f"{name}: its bill of materials is `sbom/{name}.cdx.json`")
    if also["scan"]:
        builder.scan(made, project.project.image.scan_severity, output.progress)
    # What has a weakness is not pushed.
    if also["push"]:
        builder.push(made, output.progress)
    return made


def _tell(made: "Built") -> None:
    output.result(f"{made.reference}: {_mb(made.size_bytes)}")
    rows = [(_mb(layer.size_bytes), layer.made_by[:90]) for layer in made.layers if layer.size_bytes >= 100_000]
    output.table(("size", "layer"), rows)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
