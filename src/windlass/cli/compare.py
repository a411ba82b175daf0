"""``windlass compare``: two versions on the same inputs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import output
from windlass.cli.interruption import interruptible
from windlass.cli.model import data_option, repository_option
from windlass.errors import UsageError

if TYPE_CHECKING:
    from windlass.config import ModelConfig
    from windlass.optimize.compare import Comparison, OutputDifference, Score, Worst
    from windlass.samples import Samples

_GENERATED = 64


@click.command()
@click.argument("a")
@click.argument("b")
@data_option("Ask both this")
@click.option(
    "--metric", default="", help="accuracy, cosine, lowest-cosine, max-abs, top1-agreement, or FILE.py:FUNCTION."
)
@click.option(
    "--threshold",
    default="",
    metavar="NUMBER",
    help="How good the metric has to be, also in percent: at least so much of a cosine, an agreement or a FUNCTION; at "
    "most so much of a difference, or of a drop of accuracy.",
)
@click.option("--lower-is-better", is_flag=True, help="The threshold is the most that FUNCTION may return.")
@click.option("--output", "-o", "only", default="", metavar="NAME", help="Compare this output of A alone.")
@click.option(
    "--rename", multiple=True, metavar="A=B", help="An input or output of A has another name in B; repeatable."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"Use so many samples at most; generate so many.  [default: all, or {_GENERATED}]",
)
@click.option("--seed", default=0, show_default=True, help="What samples are generated from.")
@click.option(
    "--worst", default=5, show_default=True, type=click.IntRange(min=0), help="Show so many samples of each output."
)
@repository_option()
@output.json_option
def compare(a: str, b: str, as_json: bool, **given: Any) -> None:
    """Ask two versions of a model, or two models, the same, and show how far their answers are apart.

    A and B are NAME, NAME:VERSION, or the path of a model's folder. Exit code 1 says that B is beyond the threshold, or
    that an output cannot be compared.

    \b
    windlass compare resnet:1 resnet:2 --data images --metric accuracy --threshold 0.5%
    windlass compare resnet:1 resnet:2 --metric cosine --threshold 0.999
    windlass compare bert other/models/bert:3 --data texts.jsonl --metric measure.py:spearman
    """
    from windlass.optimize.compare import threshold

    if given["threshold"] and not given["metric"]:
        raise UsageError("a threshold needs a metric", hint="add `--metric`, such as `--metric cosine`")
    if given["lower_is_better"] and ".py:" not in given["metric"]:
        raise UsageError(
            "`--lower-is-better` is about a FUNCTION of your own",
            found=f"`{given['metric']}`, of which it is known" if given["metric"] else "no metric",
            hint="leave it out, or name a function: `--metric FILE.py:FUNCTION`",
        )
    bound = threshold(given["threshold"], given["metric"]) if given["threshold"] else None
    with interruptible("nothing was compared"):
        comparison = _compare(a, b, given)
    if as_json:
        output.as_json(comparison.to_json(bound))
    else:
        _show(comparison, bound)
    if not comparison.passes(bound):
        raise SystemExit(output.BAD)


def _compare(a: str, b: str, given: dict[str, Any]) -> "Comparison":
    from windlass.optimize import compare
    from windlass.optimize.source import Source
    from windlass.repository import labels
    from windlass.repository.choice import choose
    from windlass.samples import generate, read

    first, second = (Source.of(*choose(text, given["repository"])) for text in (a, b))
    question = compare.Question(
        compare.choose(
            given["metric"],
            output=given["only"],
            at_least=not given["lower_is_better"],
            classes=labels(first.config, first.model),
        )
        if given["metric"]
        else None,
        given["only"],
        dict(_renamed(given["rename"])),
        given["worst"],
    )

    def samples(config: "ModelConfig") -> "Samples":
        if given["data"] is None:
            return generate(config, given["limit"] or _GENERATED, seed=given["seed"])
        return read(given["data"], config, limit=given["limit"])

    return compare.compare(first, second, samples, question)


def _renamed(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise UsageError(f"`--rename {text}`: expected A=B", hint="name the input or output of A, then that of B")
        yield old, new


def _show(comparison: "Comparison", bound: float | None) -> None:
    samples = comparison.samples
    output.result(f"{comparison.a} and {comparison.b} on {len(samples)} samples: {samples.source}\n")
    outputs = comparison.differences.outputs.values()
    columns = ("output", "max abs", "mean abs", "relative", "cosine", "lowest", "top-1", "unequal")
    output.table(columns, map(_figures, outputs))
    furthest = [(one.name, sample) for one in outputs for sample in one.worst]
    if furthest:
        output.result("furthest apart\n")
        places = ("output", "sample", "at", "A", "B", "difference", "cosine", "top-1", "source")
        output.table(places, (_place(name, sample, samples) for name, sample in furthest))
    if not samples.origins:
        output.result("note: what is real may differ more than what is generated: give real samples with `--data`")
    for note in comparison.notes:
        output.result(f"note: {note}")
    for fault in comparison.faults:
        output.result(f"fault: {fault}")
    if comparison.score:
        output.result(_verdict(comparison.score, bound, not comparison.faults))


def _figures(one: "OutputDifference") -> tuple[str, ...]:
    return (
        one.name,
        *(_number(figure) for figure in (one.max_abs, one.mean_abs, one.relative)),
        *(_number(figure, 7) for figure in (one.cosine, one.lowest_cosine)),
        *(_share(share) for share in (one.top1_agreement, one.unequal)),
    )


def _place(name: str, worst: "Worst", samples: "Samples") -> tuple[str, ...]:
    return (
        name,
        str(worst.sample),
        ",".join(map(str, worst.place)) or "-",
        _value(worst.a),
        _value(worst.b),
        _number(worst.difference),
        _number(worst.cosine, 7),
        f"{worst.top1[0]} → {worst.top1[1]}" if worst.top1 else "-",
        samples.origins[worst.sample] if samples.origins else "-",
    )


def _verdict(score: "Score", bound: float | None, comparable: bool) -> str:
    shown = _number(score.value, 7)
    if score.a is not None and score.b is not None:
        shown = f"{_share(score.a)} of A, {_share(score.b)} of B, a drop of {_share(score.value)}"
    told = f"{score.name}{f' of `{score.output}`' if score.output else ''}: {shown}"
    if bound is None:
        return told
    near = comparable and score.within(bound)
    wanted = f"{'at least' if score.at_least else 'at most'} {_number(bound, 7) if score.a is None else _share(bound)}"
    return f"{'within' if near else 'beyond'}: {told}; {wanted} is asked for"


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.4g} %"


def _value(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    shown = f"{text:.6g}" if isinstance(text, float) else str(text)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
