"""``windlass inspect``: what a model is, before anything is done with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli import output
from windlass.cli.given import given_options
from windlass.cli.model import repository_option

if TYPE_CHECKING:
    from windlass.backends.signature import TensorSignature
    from windlass.formats import Given, Inspection

_MOST = 12


@click.command()
@click.argument("model")
@repository_option()
@given_options
@output.json_option
def inspect(model: str, repository: Path, given: "Given", as_json: bool) -> None:
    """Tell what MODEL is: its inputs and outputs, operators, parameters, size, precision, and what could serve it.

    \b
    MODEL is a file as `windlass add` takes it, or NAME or NAME:VERSION of a repository.

    \b
    windlass inspect resnet.onnx
    windlass inspect resnet:2 --repository models
    """
    name, found = _look(model, repository, given)
    if as_json:
        output.as_json({"model": name, **found.as_dict()})
        return
    output.result(f"{name}: {found.format}")
    output.table(("", "name", "type", "shape"), [*_rows("input", found.inputs), *_rows("output", found.outputs)])
    output.result(f"parameters  {amount(found.parameters)}{_precisions(found)}")
    output.result(f"size        {size(found.size_bytes)}")
    output.result(f"operators   {_operators(found)}")
    output.result(f"served by   {', '.join(found.engines) or 'nothing, as it is'}")
    for note in found.notes:
        output.result(f"note: {note}")


def _look(model: str, repository: Path, given: "Given") -> "tuple[str, Inspection]":
    """A path goes before a name; a folder of versions is a model."""
    from windlass.formats import find
    from windlass.formats.version import inspect_version
    from windlass.repository.choice import choose

    path = Path(model.partition(":")[0])
    if _has_versions(path) or ("/" not in model and not path.suffix and not path.exists()):
        # A folder of versions here is meant before one of that name in the repository.
        entry, version = choose(f"./{model}" if _has_versions(path) and "/" not in model else model, repository)
        return f"{entry.name}:{version}", inspect_version(entry, version)
    return model, find(model, given).inspect()


def _has_versions(path: Path) -> bool:
    from windlass.repository.layout import version_number

    return path.is_dir() and any(child.is_dir() and version_number(child.name) is not None for child in path.iterdir())


def _rows(kind: str, tensors: "Sequence[TensorSignature] | None") -> list[tuple[str, ...]]:
    if tensors is None:
        return [(kind, "?", "?", "?")]
    from windlass.config.datatypes import BY_CONFIG

    return [(kind, one.name, BY_CONFIG[one.data_type].wire, str(list(one.shape))) for one in tensors]


def _precisions(found: "Inspection") -> str:
    if len(found.precisions) < 2:
        return f"  {next(iter(found.precisions), '')}"
    shares = (f"{name} {count / found.parameters:.0%}" for name, count in found.precisions.items())
    return f"  {', '.join(shares)}"


def _operators(found: "Inspection") -> str:
    shown = [f"{name} {count}" for name, count in list(found.operators.items())[:_MOST]]
    more = len(found.operators) - len(shown)
    return ", ".join(shown) + (f" and {more} more kinds" if more > 0 else "") if shown else "unknown"


def amount(count: int) -> str:
    """Return a number of parameters as people say it."""
    for factor, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return str(count)


def size(count: int) -> str:
    """Return a size as people say it."""
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
