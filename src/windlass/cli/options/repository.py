"""Where models are and how their configurations are completed."""

from pathlib import Path

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option
from windlass.errors import UsageError

OPTIONS = (
    option(
        "--model-repository",
        "--model-store",
        multiple=True,
        metavar="FOLDER",
        help="The same as REPOSITORY; repeatable.",
    ),
    option(
        "--model-config-name",
        default="",
        metavar="NAME",
        help="Read `configs/NAME.pbtxt` of each model that has it, instead of `config.pbtxt`.",
    ),
    BooleanOption(
        "--disable-auto-complete-config",
        default=False,
        help="Take configurations as they are written: nothing is completed from the files of a model.",
    ),
    BooleanOption("--strict-model-config", help="The same, by the name it had before."),
)


def repositories(values: Values) -> list[Path]:
    """Return the folders that were named, wherever on the line."""
    named = [*values["repository"], *values["model_repository"]]
    if not named:
        raise UsageError("no model repository was named", hint="windlass serve models/")
    if remote := [name for name in named if "://" in name]:
        raise UsageError(
            f"model repository `{remote[0]}` is not on this machine",
            hint="copy or mount it, and name the folder: `windlass serve models/`",
        )
    return [Path(name) for name in named]


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    strict = values["strict_model_config"]
    complete = not values["disable_auto_complete_config"] if strict is None else not strict
    return {"config_name": values["model_config_name"], "complete_config": complete}


SECTION = Section("Model repository", OPTIONS, settings)
