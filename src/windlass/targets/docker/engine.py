"""Docker's command line, here or through a context; what it complains of becomes a sentence and what to do."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from windlass.errors import TargetError
from windlass.targets import shell
from windlass.targets.docker.complaints import explain
from windlass.targets.shell import ProgramError


class Docker:
    """Docker as one target sees it; ``context`` is the name of a context or the address of an engine."""

    def __init__(self, context: str | None = None) -> None:
        self._where = () if context is None else ("--host" if "://" in context else "--context", context)

    def run(self, *words: str, environment: Mapping[str, str] | None = None, given: str | None = None) -> str:
        """Run a command to its end and return what it printed. Raises ``TargetError`` that tells what it means."""
        try:
            return shell.run(["docker", *self._where, *words], environment=environment, given=given)
        except ProgramError as error:
            raise meaning(error) from error

    @contextmanager
    def lines(self, *words: str, environment: Mapping[str, str] | None = None) -> Iterator[Iterator[str]]:
        """Lend the lines of a command as they come."""
        with shell.lines(["docker", *self._where, *words], environment=environment) as lines:
            yield lines

    def containers(self, project: str) -> list[dict[str, Any]]:
        """Return all that is known of each container of a Compose project."""
        names = self.run("ps", "--all", "--quiet", "--no-trunc", "--filter", _of(project)).split()
        found: list[dict[str, Any]] = json.loads(self.run("inspect", *names)) if names else []
        return found

    def left(self, kind: str, project: str) -> list[str]:
        """Return the names of a Compose project's networks or volumes."""
        return self.run(kind, "ls", "--format", "{{.Name}}", "--filter", _of(project)).split()

    def has(self, image: str) -> bool:
        """Tell whether the engine has an image."""
        return bool(self.run("image", "ls", "--quiet", "--filter", f"reference={image}").strip())

    def last(self, container: str, count: int = 40) -> list[str]:
        """Return the last lines that a container wrote."""
        # What a container writes as errors, `docker logs` does too.
        with shell.lines(["docker", *self._where, "logs", "--tail", str(count), container]) as lines:
            return list(lines)


def meaning(error: ProgramError) -> TargetError:
    """Return what a failure of Docker means, where it is known; the failure itself otherwise."""
    known = explain(error.said)
    if known is None:
        return error
    return TargetError(known.message, found=error.said.splitlines()[-1].strip(), hint=known.hint)


def reach(docker: Docker) -> None:
    """Raise ``TargetError`` where no engine answers, or Docker has no Compose."""
    docker.run("version", "--format", "{{.Server.Version}}")
    docker.run("compose", "version")


def reach_builder(docker: Docker) -> None:
    """Raise ``TargetError`` where no engine answers, or Docker has no BuildKit."""
    docker.run("version", "--format", "{{.Server.Version}}")
    docker.run("buildx", "version")


def secret_is_readable(path: Path, user: int) -> bool:
    """Tell whether a container's user may read a mounted file: its owner, its group, or everybody."""
    found = path.stat()
    mode = found.st_mode
    return bool(mode & 0o004 or (found.st_uid == user and mode & 0o400) or (found.st_gid == user and mode & 0o040))


def _of(project: str) -> str:
    return f"label=com.docker.compose.project={project}"
