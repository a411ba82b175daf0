"""The response cache: how many bytes of answers are kept."""

import click

from windlass.cli.options.option import Section, Settings, Values, option
from windlass.errors import UsageError

_HINT = "keep answers in this process: `--cache-config local,size=134217728`"

OPTIONS = (
    option(
        "--cache-config",
        multiple=True,
        metavar="local,size=BYTES",
        help="Keep so many bytes of answers, for models that say `response_cache { enable: true }`.",
    ),
    option(
        "--response-cache-byte-size",
        type=click.IntRange(min=0),
        metavar="BYTES",
        help="The same, as older start commands say it.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    given = [_size(text) for text in values["cache_config"]]
    old = values["response_cache_byte_size"]
    if given and old is not None:
        raise UsageError(
            "options `--cache-config` and `--response-cache-byte-size` exclude each other",
            hint="leave the second one out",
        )
    return {"cache_bytes": max([*given, old or 0])}


def _size(text: str) -> int:
    """Read ``local,size=N``. Raises ``UsageError`` for any other cache."""
    kind, _, setting = text.partition(",")
    name, _, value = setting.partition("=")
    if kind != "local":
        raise UsageError(f"option `--cache-config`: there is no cache `{kind}`", hint=_HINT)
    if name != "size" or not value.isdigit():
        raise UsageError(f"option `--cache-config`: expected `local,size=BYTES`, got `{text}`", hint=_HINT)
    return int(value)


SECTION = Section("Response cache", OPTIONS, settings)
