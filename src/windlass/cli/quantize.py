"""``windlass quantize``: a model in fewer bits."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output
from windlass.cli.interruption import interruptible
from windlass.cli.model import apply_option, data_option, repository_option, tell_written

if TYPE_CHECKING:
    from windlass.config import ModelConfig
    from windlass.optimize.quantize import Quantised, Wishes
    from windlass.samples import Samples


@click.command()
@click.argument("model")
@click.option("--to", required=True, type=click.Choice(["fp16", "bf16", "int8-dynamic", "int8"]), help="The precision.")
@repository_option()
@click.option("--calibration", type=click.Path(path_type=Path), help="Real inputs, which int8 reads ranges off.")
@data_option("Compare their answers to this", "others of --calibration, or generated")
@click.option("--min-cosine", default="0.99", show_default=True, help="How near outputs have to be.")
@click.option(
    "--accuracy-drop", default="1%", show_default=True, help="How much less often it may be right, given labels."
)
@click.option("--force", is_flag=True, help="Keep it however it answers.")
@apply_option
@output.json_option
def quantize(model: str, to: str, repository: Path, as_json: bool, **also: Any) -> None:
    """Make a new version of MODEL in fewer bits. MODEL is NAME, NAME:VERSION or the path of a model's folder.

    The framework of the version's backend does it: OpenVINO's NNCF, ONNX Runtime's quantiser, or torchao. Both are
    then asked the same; the new one is kept where it is near enough. The model goes on serving what it serves.

    DATA is an .npz, .npy, .jsonl or .txt file, or a folder of images or .npy files; subfolders are labels.

    Exits with 0 when it was made, with 1 when it answers too differently, with 2 when it could not be made.

    \b
    windlass quantize resnet --to int8 --calibration images/
    windlass quantize bert:2 --to int8-dynamic --data sentences.npz --apply
    """
    from windlass.optimize.quantize import Unusable, quantize_version
    from windlass.repository.choice import choose
    from windlass.repository.serving_policy import switch

    entry, version = choose(model, repository)
    try:
        with interruptible("nothing was written"):
            quantised = quantize_version(entry, version, to, _wishes(also), output.progress)
    except Unusable as error:
        _show(error.quantised, as_json)
        output.fail(error, output.BAD)
    if also["apply_"]:
        switch(entry, quantised.version)
    _show(quantised, as_json)
    for fault in quantised.faults:
        output.progress(f"warning: {fault}; kept all the same")
    tell_written(entry.path / str(quantised.version), served=also["apply_"])


def _wishes(also: dict[str, Any]) -> "Wishes":
    from windlass.optimize.compare.metric import threshold
    from windlass.optimize.quantize import Floor, Wishes

    calibration, data = (partial(_read, also[name]) if also[name] else None for name in ("calibration", "data"))
    floor = Floor(threshold(also["min_cosine"], "cosine"), threshold(also["accuracy_drop"], "accuracy"))
    return Wishes(calibration, data, floor, also["force"])


def _read(data: Path, config: "ModelConfig") -> "Samples":
    from windlass.samples import read

    return read(data, config)


def _show(quantised: "Quantised", as_json: bool) -> None:
    if as_json:
        output.as_json(quantised.as_dict())
        return
    output.table(("", quantised.source, f"{quantised.text} {quantised.to}", "ratio"), _figures(quantised))
    differences = quantised.comparison.differences
    rows: list[tuple[str, ...]] = [
        (found.name, _number(found.max_abs), _number(found.mean_abs))
        + (_number(found.cosine, ".6f"), _number(found.lowest_cosine, ".6f"), _number(found.top1_agreement, ".1%"))
        for found in differences.outputs.values()
    ]
    output.table(("output", "max difference", "mean", "cosine", "lowest cosine", "same top 1"), rows)
    samples = quantised.comparison.samples
    output.result(f"{quantised.method}; compared on {len(samples)} samples, {samples.source}")
    for note in (*quantised.notes, *quantised.comparison.notes):
        output.progress(f"note: {note}")


def _figures(quantised: "Quantised") -> list[tuple[str, ...]]:
    from windlass.optimize.room import size

    before, after = quantised.speeds
    rows: list[tuple[str, ...]] = [
        ("size on disk", *(size(count) for count in quantised.sizes), f"{quantised.sizes[1] / quantised.sizes[0]:.2f}"),
        (
            f"samples/s, {quantised.batch} together",
            *(f"{speed.median:,.0f} ({speed.lowest:,.0f} to {speed.highest:,.0f})" for speed in (before, after)),
            f"{after.median / before.median:.2f}",
        ),
    ]
    if quantised.accuracies:
        one, other = quantised.accuracies
        rows.append(("right answers", f"{one:.1%}", f"{other:.1%}", f"{(other - one) * 100:+.2f} points"))
    return rows


def _number(value: float | None, form: str = ".2g") -> str:
    return "-" if value is None else format(value, form)
