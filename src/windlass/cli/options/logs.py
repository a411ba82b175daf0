"""The log: where it goes, what of it is written, and how. Clients may change that while the server runs."""

from typing import Any

import click

from windlass.cli.options.option import WORDS, BooleanOption, Section, Settings, Values, option


class Verbosity(click.ParamType[int]):
    """A number, or a word for 1 or 0."""

    name = "verbosity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        text = str(value).lower()
        if text.isdigit():
            return int(text)
        if text not in WORDS:
            self.fail(f"expected a number that is not negative, got `{value}`", param, ctx)
        return int(WORDS[text])


OPTIONS = (
    BooleanOption("--json-logs", default=False, help="Log JSON, one object a line."),
    option("--log-file", default="", metavar="FILE", show_default="stderr", help="Where the log goes."),
    option(
        "--log-verbose",
        type=Verbosity(),
        default=0,
        metavar="N",
        help="From 1 on, a line for every request, and what helps to find faults.",
    ),
    BooleanOption("--log-info", default=True, help="Write what is worth knowing."),
    BooleanOption("--log-warning", default=True, help="Write warnings."),
    BooleanOption("--log-error", default=True, help="Write errors."),
    option(
        "--log-format",
        type=click.Choice(["default", "ISO8601"]),
        default="default",
        help="How times are written: those of this machine, or UTC.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    names = ("log_file", "log_verbose", "log_info", "log_warning", "log_error", "log_format")
    return {name: values[name] for name in names}


SECTION = Section("Log", OPTIONS, settings)
