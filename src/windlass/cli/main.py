"""``windlass``: finds the verb and runs it. Verbs are imported when they are asked for, so that help is quick."""

from importlib import import_module
from typing import Any

import click

from windlass.cli import output
from windlass.cli.interruption import ending_like_ctrl_c
from windlass.errors import WindlassError

# What each verb does, in the order of a user's first hour; the module of the same name has the command.
VERBS = {
    "demo": "Train small models on real images, serve and measure them.",
    "doctor": "Examine this machine: what keeps models from being served, or makes it slow.",
    "inspect": "Tell what a model is: a file, or a version in a repository.",
    "add": "Put a model into a repository: any of many formats, run once.",
    "serve": "Serve a model repository over REST and gRPC.",
    "infer": "Send one request to a running server.",
    "bench": "Put load on models, and tell how fast, how evenly and at what cost they answer.",
    "check": "Check a project or a model repository: every problem, with its place and a hint.",
    "init": "Write a project file for a model repository.",
    "export": "Make a new version of a model in another format, and compare it with the first.",
    "quantize": "Make a new version of a model in fewer bits, and measure it beside the first.",
    "compare": "Compare two versions of a model, or two models, on the same inputs.",
    "optimize": "Find the quickest way to serve a model, within an accuracy and a latency.",
    "build": "Build the images of a project.",
    "up": "Start a project on a target, or change it to what the project says now.",
    "down": "Stop what runs on a target.",
    "status": "Show what runs on a target.",
    "logs": "Print what servers of a target say.",
    "scale": "Run another number of replicas.",
    "restart": "Start servers anew.",
    "render": "Write the files of a target or a pipeline, and touch nothing else.",
    "convert": "Make Kubernetes manifests of a Compose file.",
    "schema": "Print the JSON schema of project files.",
    "version": "Print the version.",
}


class Verbs(click.Group):
    """The verbs, imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the module of a verb."""
        if name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"windlass.cli.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; who interrupts it has not had it done."""
        try:
            with ending_like_ctrl_c():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            hint = "the same command again finishes what was begun"
            output.fail(WindlassError(f"`windlass {ctx.invoked_subcommand}` was interrupted", hint=hint))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without importing any verb."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Take trained models from a folder to production."""


def main() -> None:
    """Run the command line; errors of windlass become a message and exit code 2."""
    try:
        cli(prog_name="windlass")
    except WindlassError as error:
        output.fail(error)
