"""Which models are loaded, when, and who may say so."""

import logging

import click

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option
from windlass.errors import UsageError

log = logging.getLogger("windlass")

OPTIONS = (
    option(
        "--model-control-mode",
        type=click.Choice(["none", "poll", "explicit"]),
        default="none",
        help="none: load all models and leave it at that. poll: follow what changes in the repository. explicit: load "
        "what --load-model names, then obey load and unload requests.",
    ),
    option(
        "--repository-poll-secs",
        type=click.FloatRange(min=0, min_open=True),
        default=15.0,
        metavar="SECONDS",
        help="How often poll looks.",
    ),
    option(
        "--load-model",
        multiple=True,
        metavar="NAME",
        help="With explicit: load this model at start-up; `*` is all; repeatable.",
    ),
    option("--model", multiple=True, metavar="NAME", help="Serve only this model, in any mode; repeatable."),
    option(
        "--model-load-thread-count",
        type=click.IntRange(min=1),
        default=4,
        metavar="N",
        help="Models loaded at a time.",
    ),
    option(
        "--model-load-retry-count",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="How often a model that fails to load is tried again.",
    ),
    BooleanOption("--exit-on-error", default=False, help="End when a model does not load at start-up."),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    mode, named = values["model_control_mode"], tuple(values["load_model"])
    if named and mode != "explicit":
        log.warning("`--load-model` has a meaning with `--model-control-mode explicit` only; `--model` serves a choice")
        named = ()
    if "*" in named and len(named) > 1:
        raise UsageError(
            "option `--load-model`: `*` is every model, and stands alone",
            found=", ".join(named),
            hint="leave the other names out, or the `*`",
        )
    return {
        "control_mode": mode,
        "models": (*values["model"], *named),
        "poll_s": values["repository_poll_secs"],
        "load_threads": values["model_load_thread_count"],
        "load_retries": values["model_load_retry_count"],
        "exit_on_error": values["exit_on_error"],
    }


SECTION = Section("Loading", OPTIONS, settings)
