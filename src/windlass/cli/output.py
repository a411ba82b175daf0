"""The one door to the terminal: results on stdout, progress and errors on stderr, and the meaning of exit codes."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click

from windlass.errors import WindlassError

# 0: fine. 1: what was asked about is bad. 2: it could not be done.
BAD = 1
FAILED = 2

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def result(text: str) -> None:
    """Print a result."""
    print(text)


def line(text: str) -> None:
    """Print a line of something that goes on, at once."""
    print(text, flush=True)


def as_json(value: Any) -> None:
    """Print a result for machines."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def progress(text: str) -> None:
    """Tell what goes on."""
    print(text, file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    cells = [list(row) for row in rows]
    for index, name in enumerate(columns):
        numeric = bool(cells) and all(row[index][:1].isdigit() or row[index] == "-" for row in cells)
        # A number that is cut off is another one: where there is too little room, texts make it.
        least = max(len(row[index]) for row in [columns, *cells]) if numeric else None
        drawn.add_column(name, justify="right" if numeric else "left", min_width=least)
    for row in cells:
        drawn.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120, soft_wrap=True).print(drawn)


def explain(error: WindlassError) -> None:
    """Print an error: what, where, what was found, what to do."""
    message = error.message
    if error.where and not message.startswith(error.where):
        message = f"{error.where}: {message}"
    progress(f"error: {message}")
    if error.found:
        progress(f"  found: {error.found}")
    if error.hint:
        progress(f"hint: {error.hint}")


def fail(error: WindlassError, code: int = FAILED) -> NoReturn:
    """Print an error and end."""
    explain(error)
    sys.exit(code)
