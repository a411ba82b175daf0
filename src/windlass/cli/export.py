"""``windlass export``: a model in another format."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output
from windlass.cli.interruption import interruptible
from windlass.cli.model import apply_option, data_option, repository_option, tell_written

if TYPE_CHECKING:
    from windlass.config import ModelConfig
    from windlass.optimize.export import Exported, Size, Wishes
    from windlass.samples import Samples

# Of a person's data: enough to tell, and a moment's work.
_ROWS = 64


@click.command()
@click.argument("model")
@click.option("--to", required=True, type=click.Choice(["onnx", "torchscript", "pt2", "openvino"]), help="The format.")
@repository_option()
@data_option("Compare their answers to this")
@click.option("--tolerance", type=click.FloatRange(min=0), help="How far outputs may be away, of their largest value.")
@click.option("--allow-constant", is_flag=True, help="Accept outputs that are the same whatever the model is asked.")
@apply_option
@click.option("--dry-run", is_flag=True, help="Convert and compare, and write nothing.")
@output.json_option
def export(model: str, to: str, repository: Path, as_json: bool, **also: Any) -> None:
    """Make a new version of MODEL in another format. MODEL is NAME, NAME:VERSION or the path of a model's folder.

    The new version is asked what the old one is asked, in batches and with open axes of several sizes, and is kept
    where it answers the same. The model goes on serving what it serves.

    Exits with 0 when it was made, with 1 when it answers otherwise, with 2 when it cannot be converted or compared.

    \b
    windlass export resnet --to openvino
    windlass export bert:1 --to onnx --data sentences.npz --apply
    """
    from windlass.errors import DifferenceError
    from windlass.optimize.export import Different, export_version
    from windlass.repository.choice import choose
    from windlass.repository.serving_policy import switch

    entry, version = choose(model, repository)
    keep = not also["dry_run"]
    try:
        with interruptible("nothing was written"):
            exported = export_version(entry, version, to, _wishes(also), output.progress, keep=keep)
    except Different as error:
        _show(error.exported, as_json)
        output.fail(error, output.BAD)
    except DifferenceError as error:
        output.fail(error, output.BAD)
    if also["apply_"] and keep:
        switch(entry, exported.version)
    _show(exported, as_json)
    if keep:
        tell_written(entry.path / str(exported.version), served=also["apply_"])


def _wishes(also: dict[str, Any]) -> "Wishes":
    from windlass.optimize.export import Wishes

    return Wishes(partial(_read, also["data"]) if also["data"] else None, also["tolerance"], also["allow_constant"])


def _read(data: Path, config: "ModelConfig") -> "Samples":
    from windlass.samples import read

    return read(data, config, limit=_ROWS)


def _show(exported: "Exported", as_json: bool) -> None:
    if as_json:
        output.as_json(exported.as_dict())
        return
    from windlass.optimize.export import summary

    refused: dict[str, list[Size]] = {}
    for refusal in exported.refused:
        refused.setdefault(refusal.reason, []).append(refusal.size)
    rows = [
        (check.output, check.data_type, f"{check.max_abs:.2g}", f"{check.limit:.2g}")
        + (f"{check.cosine:.6f}", "yes" if check.passes else "no")
        for check in exported.checks
    ]
    output.table(("output", "type", "max difference", "allowed", "cosine", "same"), rows)
    output.result(f"sizes: {summary(exported.asked)}\ninputs: {exported.inputs}")
    for why, sizes in refused.items():
        output.progress(f"not compared at {summary(sizes)}, which the original does not take: {why}")
    if exported.constant:
        output.progress(f"nothing is shown of {', '.join(exported.constant)}: the same for all inputs")
