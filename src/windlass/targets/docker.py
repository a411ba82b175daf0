"""Docker's command line, here or through a context; what it complains of becomes a sentence and what to do."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from windlass.errors import TargetError
from windlass.targets import shell
from windlass.targets.shell import ProgramError

# What Docker says, what it means, and what to do. Groups of the pattern fill both.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"(?i)unknown command: docker compose|'compose' is not a docker command|unknown shorthand flag: 'p'",
        "Docker has no `compose` here",
        "install its plugin: https://docs.docker.com/compose/install/",
    ),
    (
        r"(?i)cannot connect to the docker daemon(?: at (\S+?)\.? )?|error during connect.*?(ssh://\S+|tcp://\S+)?",
        "no Docker engine answers",
        "start it (`systemctl start docker`), or name another with `context` of the target",
    ),
    (
        r'context "([^"]+)"(?:: context)? not found|open .*contexts/meta.*: no such file',
        "Docker knows no context `{0}`",
        "`docker context ls` shows those there are; `docker context create` makes one",
    ),
    (
        r"permission denied while trying to connect",
        "Docker's socket may not be used by this user",
        "join the group `docker`, or run as one who may",
    ),
    (
        r"Bind for \S*?:(\d+) failed: port is already allocated|tcp\d? \S*?:(\d+): bind: address already in use",
        "port {0} is in use by another program",
        "`ss -ltnp` shows which; end it, or say another port in windlass.yaml",
    ),
    (
        r"(?:pull access denied for|manifest for|manifest unknown.*?|failed to resolve reference) \"?([^\s,\"]+)",
        "the image `{0}` is neither here nor in its registry",
        "build it with `windlass build`, or log in with `docker login`",
    ),
    (
        r"unauthorized|denied: requested access|no basic auth credentials",
        "the registry refuses",
        "log in with `docker login`",
    ),
    (
        r'could not select device driver "nvidia"|unknown or invalid runtime name: nvidia',
        "this engine offers no GPUs to containers",
        "install the NVIDIA Container Toolkit: `nvidia-ctk runtime configure --runtime=docker`",
    ),
    (
        r"unknown or invalid runtime name: (\S+)",
        "the engine has no container runtime `{0}`",
        "install and register it, or leave `security.sandbox` out",
    ),
    (r"no space left on device", "the engine's disk is full", "`docker system prune` frees what nothing uses"),
    (
        r"invalid mount config for type \"bind\": bind source path does not exist: (\S+)",
        "`{0}` is not there",
        "write it, or name another in windlass.yaml",
    ),
    (
        r'external volume "([^"]+)" not found',
        "there is no volume `{0}`",
        "make it with `docker volume create {0}` and fill it",
    ),
)


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
    for pattern, message, hint in _MEANINGS:
        if found := re.search(pattern, error.said):
            named = next((group for group in found.groups() if group), "")
            said = error.said.splitlines()[-1].strip()
            return TargetError(message.format(named), found=said, hint=hint.format(named))
    return error


def engine(docker: Docker) -> str:
    """Return the version of the engine. Raises ``TargetError`` where none answers."""
    return docker.run("version", "--format", "{{.Server.Version}}").strip()


def secret_is_readable(path: Path, user: int) -> bool:
    """Tell whether a container's user may read a mounted file: its owner, its group, or everybody."""
    found = path.stat()
    mode = found.st_mode
    return bool(mode & 0o004 or (found.st_uid == user and mode & 0o400) or (found.st_gid == user and mode & 0o040))


def _of(project: str) -> str:
    return f"label=com.docker.compose.project={project}"
