"""``windlass add``: a model that somebody has, in a repository."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output
from windlass.cli.given import given_options
from windlass.cli.interruption import interruptible
from windlass.cli.model import apply_option, data_option, repository_option

if TYPE_CHECKING:
    from windlass.formats.add import Added


@click.command()
@click.argument("file")
@click.option("--name", help="The model's name.  [default: from the file's]")
@repository_option("The folder of models; made where there is none.")
@given_options
@data_option("Run it with these inputs")
@click.option("--run/--no-run", default=True, show_default=True, help="Run it before it is added.")
@click.option(
    "--max-batch-size",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="How many requests may share a batch, where the model has one.",
)
@apply_option
@click.option("--dry-run", is_flag=True, help="Do everything but keep it, and print the configuration.")
@output.json_option
def add(file: str, name: str | None, repository: Path, **options: Any) -> None:
    """Put a model into a repository: FILE becomes the first version of a model, or the next of one that is there.

    \b
    FILE is an ONNX file, OpenVINO IR (.xml), TorchScript, an exported program (.pt2), a Python file with a
    function that builds a module (module.py:build), weights with --architecture, a Hugging Face folder, or a
    model of scikit-learn, XGBoost or LightGBM.

    Inputs and outputs are found out and written into config.pbtxt, and the model runs before it is kept. A model
    that is there already goes on serving what it serves, unless --apply says otherwise; nothing is written over.

    \b
    windlass add resnet.onnx
    windlass add net.py:build --name net
    windlass add weights.safetensors --architecture net.py:build
    windlass add scripted.pt --input image:FP32[-1,3,224,224]
    """
    from windlass.config.text import config_text
    from windlass.formats import find
    from windlass.formats.add import Wish, name_for, put

    found = find(file, options["given"])
    wish = Wish(name or name_for(file), repository, options["max_batch_size"], options["data"], options["run"])
    output.progress(f"{file}: {found.format}")
    if options["dry_run"]:
        with interruptible("nothing was written"), tempfile.TemporaryDirectory(prefix="windlass-add-") as above:
            output.result(config_text(put(found, replace(wish, repository=Path(above))).config).rstrip())
        return
    with interruptible("nothing was written"):
        added = put(found, wish)
    served = _serve(added, apply_=options["apply_"])
    if options["as_json"]:
        output.as_json({**added.as_dict(), "served": served})
    else:
        _tell(added, served=served)


def _serve(added: "Added", *, apply_: bool) -> bool:
    """Switch to the new version where that is wanted; tell whether it is one that is served."""
    from windlass.repository import scan_model, select
    from windlass.repository.serving_policy import switch

    if apply_:
        switch(added.entry, added.version)
    config = scan_model(added.entry.path).config
    return config is not None and added.version in select(config, added.entry.versions)


def _tell(added: "Added", *, served: bool) -> None:
    from windlass.config.datatypes import BY_NUMBER

    config, entry = added.config, added.entry
    batches = f"batches of up to {config.max_batch_size}" if config.max_batch_size else "no batches"
    output.result(f"{entry.versions[added.version]}: {config.backend}, {batches}")
    for kind, tensors in (("input", config.input), ("output", config.output)):
        for one in tensors:
            output.result(f"  {kind}  {one.name}  {BY_NUMBER[one.data_type].wire}  {list(one.dims)}")
    for note in added.notes:
        output.result(f"  {note}")
    for finding in added.findings:
        output.progress(f"{finding.severity}: {finding.message}")
        output.progress(f"  hint: {finding.hint}")
    if served:
        output.progress(f"hint: `windlass serve {entry.path.parent}` serves it")
    else:
        output.progress(
            f"hint: it is not served yet: say `version_policy {{ specific {{ versions: [ {added.version} ] }} }}` in "
            f"`{entry.config_path}`, or `--apply` when adding"
        )
