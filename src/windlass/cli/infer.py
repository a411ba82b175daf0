"""``windlass infer``: one request from the terminal."""

import click

from windlass.cli import output
from windlass.errors import UsageError


@click.command()
@click.argument("model")
@click.option(
    "--input",
    "-i",
    "given",
    multiple=True,
    metavar="[NAME=]VALUE",
    help="JSON text, or a .json, .npy, image or text file; repeatable. A model with one input needs no name.",
)
@click.option("--output", "-o", "outputs", multiple=True, metavar="NAME", help="Ask for this output only; repeatable.")
@click.option("--version", "-v", default="", help="Ask this version.")
@click.option("--url", "-u", default="http://127.0.0.1:8000", show_default=True, help="The server's REST address.")
@output.json_option
def infer(model: str, given: tuple[str, ...], outputs: tuple[str, ...], version: str, url: str, as_json: bool) -> None:
    """Send one request to MODEL and print its outputs.

    \b
    windlass infer digits -i image.npy
    windlass infer adder -i 'a=[1, 2]' -i 'b=[3, 4]' --json
    """
    from windlass.cli.inputs import read_inputs
    from windlass.client import Client

    with Client(url) as client:
        metadata = client.metadata(model, version)
        if not given:
            names = ", ".join(
                f"{tensor['name']} ({tensor['datatype']} {tensor['shape']})" for tensor in metadata["inputs"]
            )
            raise UsageError(f"model `{model}` was given no input", hint=f"it has {names}: add -i NAME=VALUE")
        answer = client.infer(model, read_inputs(given, metadata["inputs"]), version=version, outputs=outputs)
    shown = {
        name: [item.decode(errors="replace") for item in array.ravel()] if array.dtype.kind == "O" else array.tolist()
        for name, array in answer.items()
    }
    if as_json:
        output.as_json(shown)
        return
    rows = [
        (name, str(array.dtype), "x".join(map(str, array.shape)), _brief(shown[name])) for name, array in answer.items()
    ]
    output.table(("output", "type", "shape", "values"), rows)


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
