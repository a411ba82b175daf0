"""``windlass bench``: load on a server, and what came of it."""

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output
from windlass.cli.durations import Duration
from windlass.cli.interruption import interruptible
from windlass.cli.model import repository_option
from windlass.errors import UsageError, WindlassError

if TYPE_CHECKING:
    from windlass.bench.order import Order
    from windlass.bench.point import Point
    from windlass.bench.result import Result

_WORDS = "windlass.bench.words"


class _Remembering(click.Command):
    """Keeps the words it was called with: a report says how to repeat it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)


def _pem(name: str, note: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(name, type=file, metavar="FILE", help=note)


@click.command(cls=_Remembering)
@click.argument("what", nargs=-1, metavar="[MODEL|URL]...")
@repository_option("Where the models are that a server is started for.")
@click.option(
    "--model", "shares", multiple=True, metavar="NAME=SHARE,...", help="Models, each with its share of the load."
)
@click.option(
    "--concurrency",
    "-c",
    metavar="N,N|N:N",
    help="Closed loop: so many clients at a time, each asks again when answered; 1:64 doubles.  [default: 1,4,16]",
)
@click.option(
    "--rate", metavar="N,N|N:N", help="Open loop: so many requests a second, whether or not earlier ones are answered."
)
@click.option(
    "--poisson/--constant",
    default=True,
    show_default=True,
    help="Open loop: as independent users ask, or at even distances.",
)
@click.option("--ramp", is_flag=True, help="Raise the load until the knee is found: the most that is served well.")
@click.option(
    "--latency-p99",
    "limit",
    type=Duration(),
    metavar="TIME",
    help="What is well: 99 of 100 answers within this, such as 50ms. Exits with 1 where no level is.",
)
@click.option(
    "--protocol",
    type=click.Choice(["rest", "json", "grpc"]),
    help="REST with binary tensors, REST with JSON, or gRPC.  [default: rest]",
)
@click.option(
    "--batch", "-b", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Rows in a request."
)
@click.option(
    "--data",
    multiple=True,
    metavar="[MODEL=]PATH",
    help="Inputs: .npz, .npy, .jsonl, text, or a folder of images or arrays; else they are made from the signature.",
)
@click.option(
    "--open-size",
    multiple=True,
    metavar="[INPUT=]N",
    help="How large open dimensions are in inputs that are made.  [default: 16]",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Of inputs that are made, and of Poisson's times.",
)
@click.option(
    "--window",
    type=Duration(),
    default="1s",
    show_default=True,
    metavar="TIME",
    help="Windows of this length repeat until the last three agree.",
)
@click.option(
    "--windows", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="At most so many windows."
)
@click.option(
    "--stability",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="How closely they agree, in rate and p99.",
)
@click.option(
    "--warm-up",
    type=Duration(zero=True),
    default="1s",
    show_default=True,
    metavar="TIME",
    help="Load before anything counts.",
)
@click.option(
    "--timeout",
    type=Duration(),
    default="30s",
    show_default=True,
    metavar="TIME",
    help="An answer that takes longer is a failure.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="N",
    help="Open loop: at most so many requests wait for answers at a time.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Threads of the load generator.",
)
@_pem("--tls-ca", "Of a server at https:// or grpcs://: who signed its certificate.  [default: the system's]")
@_pem("--tls-certificate", "Who the generator is, where that server asks.")
@_pem("--tls-key", "The key of that certificate.")
@output.json_option
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write a report with plots: one file that needs no network.",
)
@click.pass_context
def bench(ctx: click.Context, /, as_json: bool, report: Path | None, **values: Any) -> None:
    """Put load on models, and tell how fast, how evenly and at what cost they answer.

    A server is started for models of --repository, and ends afterwards; with a URL the one that runs there is asked.
    NAME:VERSION asks a version, whether or not it is the one that is served.

    \b
    windlass bench resnet --report resnet.html
    windlass bench http://127.0.0.1:8000 resnet --rate 100,200,400
    windlass bench resnet --ramp --latency-p99 50ms --data images/
    """
    from windlass.bench.order import read_order

    if report is not None and not report.parent.is_dir():
        raise UsageError(f"option `--report`: `{report.parent}` is no folder", hint="make it first, or name another")
    command = shlex.join(["windlass", "bench", *ctx.meta[_WORDS]])
    with interruptible("nothing was measured"):
        result, ended = _measure(read_order(values), command)
    if result.points:
        _show(result, as_json=as_json, report=report)
    _end(result, ended)


def _measure(order: "Order", command: str) -> "tuple[Result, BaseException | None]":
    """Measure until it is done, interrupted, or the server is gone; tells what came of it, and what ended it."""
    from windlass.bench.session import opened

    points: list[Point] = []
    ended: BaseException | None = None
    date = time.strftime("%Y-%m-%d %H:%M %Z")
    with opened(order, output.progress) as session:
        try:
            for point in session.points(output.progress):
                points.append(point)
        except (KeyboardInterrupt, WindlassError) as error:
            ended = error
        return session.result(points, command=command, date=date), ended


def _show(result: "Result", *, as_json: bool, report: Path | None) -> None:
    from windlass.bench.report import html
    from windlass.bench.table import columns, milliseconds, rows

    if as_json:
        output.as_json(result.as_dict())
    else:
        output.table(columns(result), [_cells(row) for row in rows(result, milliseconds)])
        output.result("times in ms; queue, compute and CPU are means of a request\n")
        output.result(result.verdict())
        for note in result.notes():
            output.result(f"note: {note}")
    if report is not None:
        report.write_text(html(result), encoding="utf-8")
        output.progress(f"wrote {report}")


def _cells(row: Any) -> tuple[str, ...]:
    name, *rest = row.cells
    return (f"  {name}" if row.part else name, *rest)


def _end(result: "Result", ended: BaseException | None) -> None:
    if isinstance(ended, KeyboardInterrupt):
        output.progress("interrupted")
        sys.exit(output.FAILED)
    if isinstance(ended, WindlassError):
        output.fail(ended, output.BAD)
    if result.all_failed or (result.limit_us is not None and result.best is None):
        sys.exit(output.BAD)
