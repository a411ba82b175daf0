"""``windlass schema``: the JSON schema of project files, for editors."""

import click

from windlass.cli import output


@click.command()
def schema() -> None:
    """Print the JSON schema of `windlass.yaml`.

    Editors check and complete project files with it: `windlass schema > windlass.schema.json`, and as the first line
    of the project file `# yaml-language-server: $schema=windlass.schema.json`.
    """
    from windlass.config.project.schema import json_schema

    output.as_json(json_schema())
