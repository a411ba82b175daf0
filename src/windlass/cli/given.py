"""Options that say what no model file says."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def given_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as ``given``."""

    @click.option(
        "--input",
        "-i",
        "inputs",
        multiple=True,
        metavar="NAME:TYPE[SHAPE]",
        help="An input that the file does not tell, e.g. image:FP32[-1,3,224,224], -1 for any size; repeatable.",
    )
    @click.option(
        "--architecture", default="", metavar="FILE.py:NAME", help="The function that builds the module of weights."
    )
    @click.option("--trust", is_flag=True, help="Run the code that a pickle or a Hugging Face folder brings with it.")
    @wraps(command)
    def told(*arguments: Any, inputs: tuple[str, ...], architecture: str, trust: bool, **options: Any) -> Any:
        from windlass.formats import Given, parse_input

        given = Given(tuple(parse_input(text) for text in inputs), architecture, trust)
        return command(*arguments, given=given, **options)

    return told
