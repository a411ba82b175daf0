"""``windlass optimize``: the quickest way to serve a model that is true enough, found by measuring."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output
from windlass.cli.durations import Duration
from windlass.cli.model import apply_option, data_option, repository_option, tell_written
from windlass.cli.shares import Share
from windlass.cli.sizes import Size

if TYPE_CHECKING:
    from windlass.optimize.tune import Order, Outcome


@click.command()
@click.argument("model")
@repository_option()
@click.option("--latency-p99", type=Duration(), metavar="TIME", help="99 of 100 answers within this, such as 50ms.")
@click.option("--memory", type=Size(), metavar="SIZE", help="The server may take this much, such as 2GiB.")
@click.option(
    "--min-cosine",
    type=click.FloatRange(min=0, max=1),
    metavar="NUMBER",
    help="The least cosine of outputs with those of the original.  [default: 0.999]",
)
@click.option(
    "--accuracy-drop",
    type=Share(),
    metavar="PERCENT",
    help="So many points of accuracy may be lost on labelled data.  [default where there are labels: 0.5%]",
)
@data_option("Measure with these inputs")
@click.option(
    "--budget", type=Duration(), default="10m", show_default=True, metavar="TIME", help="How long it may take."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the order, and of made inputs.")
@apply_option
@click.option("--afresh", is_flag=True, help="Forget what an earlier run has measured.")
@click.option("--work", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to work; else in the cache.")
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to write the report; else there."
)
@output.json_option
def optimize(model: str, repository: Path, apply_: bool, report: Path | None, as_json: bool, **values: Any) -> None:
    """Find the quickest way to serve MODEL that is true enough, and write it beside the version there is.

    MODEL is NAME, NAME:VERSION or the path of a model's folder. Engines, precisions, threads, instances, batch sizes
    and delays are tried on this machine; accuracy is checked before speed counts. An interrupted run goes on where it
    was when the same command is given again. What is served does not change without `--apply`.

    Exits with 0 when the best is known, with 1 when nothing is within the limits, with 2 when it could not be found.

    \b
    windlass optimize resnet --latency-p99 50ms
    windlass optimize bert --data sentences.npz --min-cosine 0.99 --budget 20m --apply
    """
    from windlass.optimize.tune import run
    from windlass.repository.serving_policy import switch

    try:
        outcome, files = run(_order(model, repository, values), report, output.progress)
    except KeyboardInterrupt:
        output.progress("interrupted: nothing was written; the same command goes on from here")
        sys.exit(output.FAILED)
    if apply_ and outcome.written is not None:
        switch(outcome.study.entry, outcome.written)
    _show(outcome, as_json=as_json)
    if outcome.written is not None:
        tell_written(outcome.study.entry.path / str(outcome.written), served=apply_)
    output.progress(f"report: {files[-1]}")
    sys.exit(output.BAD if outcome.winner is None else 0)


def _order(model: str, repository: Path, values: dict[str, Any]) -> "Order":
    from windlass.optimize.tune import Objective, Order
    from windlass.repository.choice import choose

    entry, version = choose(model, repository)
    latency_s = values["latency_p99"]
    return Order(
        entry=entry,
        version=version,
        objective=Objective(None if latency_s is None else latency_s * 1e6, values["memory"]),
        accuracy_drop=values["accuracy_drop"],
        min_cosine=values["min_cosine"],
        data=values["data"],
        budget_s=values["budget"],
        seed=values["seed"],
        work=values["work"],
        afresh=values["afresh"],
    )


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    from windlass.optimize.tune.report.document import document
    from windlass.optimize.tune.report.facts import notes, verdict
    from windlass.optimize.tune.report.tables import SERVED_COLUMNS, served_rows

    if as_json:
        output.as_json(document(outcome))
        return
    output.table(SERVED_COLUMNS[:-1], [row.cells[:-1] for row in served_rows(outcome) if not row.out])
    output.result(verdict(outcome))
    for note in notes(outcome):
        output.result(f"note: {note}")
