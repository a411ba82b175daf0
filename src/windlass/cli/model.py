"""What every verb that works on models shares: where they are, their inputs, and whether a new one is served."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from windlass.cli import output

Command = TypeVar("Command", bound=Callable[..., Any])

apply_option = click.option("--apply", "apply_", is_flag=True, help="Serve the new version from now on, and no other.")


def repository_option(note: str = "Where models are that are named.") -> Callable[[Command], Command]:
    """Add ``--repository`` to a command; ``note`` says what it is good for there."""
    return click.option(
        "--repository",
        "-r",
        type=click.Path(path_type=Path),
        default=Path("models"),
        show_default=True,
        metavar="FOLDER",
        help=note,
    )


def data_option(note: str, otherwise: str = "generated") -> Callable[[Command], Command]:
    """Add ``--data`` to a command: ``note`` says what is done with it, ``otherwise`` what is taken without it."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, exists=True),
        metavar="PATH",
        help=f"{note}: .npz, .npy, .jsonl, .txt, or a folder of images or .npy.  [default: {otherwise}]",
    )


def tell_written(folder: Path, *, served: bool) -> None:
    """Say where a new version is, and what it takes to serve it."""
    told = "is served from now on" if served else "is not served yet: `--apply` switches"
    output.progress(f"wrote `{folder}`, which {told}")
