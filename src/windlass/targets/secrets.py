"""Reads secrets where a project file says they are, at the moment they are needed; nothing keeps them."""

import os
from pathlib import Path

from windlass.config.project import Project
from windlass.errors import TargetError


def secret(project: Project, name: str, folder: Path) -> str:
    """Return a secret's value from its file in the project's ``folder``, or from the environment.

    Raises ``TargetError`` where neither is there. The message never holds a value.
    """
    value = project.secrets[name]
    if value.environment is not None and value.environment in os.environ:
        return os.environ[value.environment]
    if value.file is not None and (folder / value.file).is_file():
        return (folder / value.file).read_text().rstrip("\n")
    places = [f"write it into `{value.file}`"] if value.file else []
    places += [f"set `{value.environment}`"] if value.environment else []
    hint = " or ".join(places) or f"say `file` or `environment` under `secrets.{name}`: this target reads no other"
    raise TargetError(f"the secret `{name}` is not there", hint=hint)
