"""How options are written: truth values as words, and sections on the help page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import click

# What users of this protocol's servers write for yes and for no.
WORDS = {"true": True, "on": True, "1": True, "yes": True, "false": False, "off": False, "0": False, "no": False}

Values = Mapping[str, Any]
Settings = dict[str, object]


class Boolean(click.ParamType[bool]):
    """``--opt=true``, ``--opt true``, or ``--opt`` alone."""

    name = "boolean"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return the value of a word."""
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        if word not in WORDS:
            self.fail(f"expected true or false, got `{value}`", param, ctx)
        return WORDS[word]


class BooleanOption(click.Option):
    """An option that is true when it is given alone."""

    def __init__(self, *names: str, default: bool | None = None, **attributes: Any) -> None:
        word = None if default is None else str(default).lower()
        attributes |= {"type": Boolean(), "default": word, "show_default": word is not None}
        super().__init__(names, is_flag=False, flag_value="true", **attributes)


def option(*names: str, **attributes: Any) -> click.Option:
    """Return an option whose default is on the help page."""
    attributes.setdefault("show_default", attributes.get("default") not in (None, "", ()))
    return click.Option(names, **attributes)


@dataclass(frozen=True, slots=True)
class Section:
    """Options that belong together, and what they mean to the server."""

    title: str
    options: Sequence[click.Option]
    settings: Callable[[Values], Settings]


class Sectioned(click.Command):
    """A command whose help page shows options by section, and whose truth values may stand alone."""

    def __init__(self, name: str, sections: Sequence[Section], *arguments: click.Argument, **rest: Any) -> None:
        params = [*arguments, *(option for section in sections for option in section.options)]
        super().__init__(name, params=params, **rest)
        self.sections = sections

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; a truth value that stands alone does not take the next argument for its word."""
        lone = {name for option in self.params if isinstance(option, BooleanOption) for name in option.opts}
        spelled = [
            f"{given}=true" if given in lone and following.lower() not in WORDS else given
            for given, following in pairwise([*args, ""])
        ]
        return super().parse_args(ctx, spelled)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each section."""
        for section in self.sections:
            records = [record for option in section.options if (record := option.get_help_record(ctx))]
            with formatter.section(section.title):
                formatter.write_dl(records)
        help_option = self.get_help_option(ctx)
        if help_option and (record := help_option.get_help_record(ctx)):
            with formatter.section("Help"):
                formatter.write_dl([record])
