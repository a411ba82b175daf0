"""A release as containers of one machine, through Docker Compose: here, or where a Docker context leads."""

import difflib
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from windlass.config.project import ComposeTarget, Project
from windlass.errors import TargetError
from windlass.generate import render
from windlass.generate.compose import FILE, TARGET, built_images, project_name, secret_readers
from windlass.generate.compose.remote import remote, secret_variable
from windlass.generate.compose.servers import replicas
from windlass.release import Release
from windlass.targets import rendered
from windlass.targets.docker import containers
from windlass.targets.docker.carried import carry_models, drop_older
from windlass.targets.docker.containers import Told
from windlass.targets.docker.engine import Docker, meaning, reach, secret_is_readable
from windlass.targets.docker.image import Builder
from windlass.targets.docker.outdated import outdated
from windlass.targets.secrets import secret
from windlass.targets.shell import ProgramError
from windlass.targets.target import Progress, Replica

# How often containers are looked at while somebody waits for them.
_LOOK_S = 1.0
# How long one that comes and goes may stay before it is gone again.
_CATCH_S = 15.0
# What a terminal understands as: erase this line.
_ERASED = "\x1b[2K"


class ComposeProject:
    """What runs of a project on the Compose target of that name; ``folder`` is where its files are rendered."""

    def __init__(self, project: Project, target_name: str, folder: Path, project_folder: Path) -> None:
        target = project.targets[target_name]
        assert isinstance(target, ComposeTarget)
        self._target = target_name
        self._name = project_name(project, target)
        self._folder = folder
        self._project_folder = project_folder
        self._docker = Docker(target.context)

    def up(self, release: Release, progress: Progress, *, timeout_s: float) -> None:
        """Render, build what is not there, start what differs, and wait until everything is ready."""
        deadline = time.monotonic() + timeout_s
        environment = self._secrets(release)
        reach(self._docker)
        self._containers()
        rendered.write(self._folder, render.files(release))
        self._build(release, progress, environment)
        carry_models(self._docker, release, self._project_folder, self._folder, progress)
        self._started(progress, deadline, environment, "up", "--detach", "--no-build", "--remove-orphans")
        self._renew(release, progress, deadline, environment)
        self._wait(progress, deadline)
        drop_older(self._docker, release)

    def plan(self, release: Release) -> str:
        """Return how the files would differ, and which containers would be made, made anew or removed."""
        reach(self._docker)
        lines: list[str] = []
        files = render.files(release)
        for path in sorted({*files, *rendered.written(self._folder)}):
            file = self._folder / path
            before = file.read_text() if file.is_file() else ""
            after = files.get(path, "")
            lines += difflib.unified_diff(
                before.splitlines(), after.splitlines(), f"rendered/{path}", f"new/{path}", lineterm=""
            )
        return "\n".join([*lines, *self._changed(release, files[FILE])])

    def down(self, progress: Progress, *, volumes: bool = False) -> None:
        """Stop and remove containers and networks; with ``volumes`` caches and measurements too."""
        told = self._containers()
        if told:
            progress(f"stopping {len(told)} containers")
        # By labels, not by the file: what an older file or an interrupted start left goes as well.
        names = [one["Id"] for one in sorted(told, key=_last_first)]
        for name in names:
            self._docker.run("stop", name)
        if names:
            self._docker.run("rm", "--force", *names)
        for network in self._docker.left("network", self._name):
            self._docker.run("network", "rm", network)
        for volume in self._docker.left("volume", self._name) if volumes else ():
            self._docker.run("volume", "rm", volume)
        progress("nothing is running" if not told else "removed")

    def status(self) -> list[Replica]:
        """Return every container that is there, but those that have done what they were for."""
        told = [one for one in self._containers() if not containers.finished(one)]
        return sorted((self._replica(one) for one in told), key=lambda one: (one.service, one.name))

    def logs(self, service: str | None, *, follow: bool, tail: int) -> Iterator[str]:
        """Yield lines of the containers' logs, each with the name of its container."""
        reach(self._docker)
        words = self._words("logs", "--no-color", f"--tail={tail}", *(["--follow"] if follow else []))
        with self._docker.lines(*words, *([service] if service else [])) as lines:
            # Compose erases each line before it writes it, wherever that leads.
            yield from (line.removeprefix(_ERASED) for line in lines)

    def scale(self, release: Release, service: str, replicas: int, progress: Progress) -> None:
        """Run another number of replicas. The gateway finds new ones by itself."""
        environment = self._secrets(release)
        reach(self._docker)
        self._containers()
        progress(f"{service}: {replicas} replicas")
        words = ("up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--scale", f"{service}={replicas}")
        deadline = time.monotonic() + release.project.services[service].startup
        self._started(progress, deadline, environment, *words, service)
        self._wait(progress, deadline)

    def restart(self, service: str | None, progress: Progress) -> None:
        """Restart containers one after the other; the next one goes when the last one is ready."""
        chosen = [one for one in self.status() if service in (None, one.service)]
        if not chosen:
            raise TargetError(f"nothing runs of `{service or self._name}`", hint="start it with `windlass up`")
        for one in chosen:
            progress(f"restarting {one.name}")
            self._docker.run("restart", one.name)
            self._wait(progress, time.monotonic() + 600, only=one.name)

    def _words(self, *words: str) -> tuple[str, ...]:
        file = self._folder / FILE
        return ("compose", "--project-name", self._name, "--file", str(file), "--progress", "plain", *words)

    def _secrets(self, release: Release) -> dict[str, str]:
        """Return what Compose must find in its environment; every secret is there, and its readers can read it."""
        found: dict[str, str] = {}
        for name, user in secret_readers(release):
            place = release.project.secrets[name]
            if place.file is not None and not remote(release):
                _check_file(name, place.file, self._project_folder, user)
            else:
                value = secret(release.project, name, self._project_folder)
                found[secret_variable(name) if place.file else place.environment or ""] = value
        return found

    def _containers(self) -> list[Told]:
        """Return what the engine has of the project. Raises ``TargetError`` where that is another target's."""
        found = self._docker.containers(self._name)
        others = {one["Config"]["Labels"].get(TARGET, self._target) for one in found} - {self._target}
        if others:
            own = f"targets.{self._target}.project: {self._name}-{self._target}"
            raise TargetError(
                f"what runs here as Compose project `{self._name}` is target `{min(others)}`, not `{self._target}`",
                hint=f"take that down first, or give this one a name of its own: `{own}`",
            )
        return found

    def _renew(self, release: Release, progress: Progress, deadline: float, environment: dict[str, str]) -> None:
        """Make containers anew that still see a secret as it was: a key that was taken away must open nothing."""
        services = outdated(self._docker, self._containers(), release, self._project_folder)
        if services:
            progress(f"a secret has changed: making {', '.join(services)} anew")
            words = ("up", "--detach", "--no-build", "--no-deps", "--force-recreate")
            self._started(progress, deadline, environment, *words, *services)

    def _build(self, release: Release, progress: Progress, environment: dict[str, str]) -> None:
        """Build images that are not there. Their tag is a digest, unless the project names one: that may be old."""
        named = release.project.image.tag is not None
        builder = Builder(self._project_folder, self._folder, self._docker)
        for service, image in built_images(release).items():
            if service in release.project.services:
                if named or not self._docker.has(image):
                    builder.build(release, service, progress)
            elif not self._docker.has(image):
                progress(f"building {image}")
                self._docker.run(*self._words("build", service), environment=environment)

    def _started(self, progress: Progress, deadline: float, environment: dict[str, str], *words: str) -> None:
        """Run Compose until it is done, in vain, or out of time; it waits for what depends on what."""
        told = _Told(progress)
        said: queue.Queue[str | ProgramError | None] = queue.Queue()
        with self._docker.lines(*self._words(*words), environment=environment) as lines:
            thread = threading.Thread(target=_drained, args=(lines, said))
            thread.start()
            while (ended := self._heard(said)) is False:
                self._look(told, deadline)
        thread.join()
        if isinstance(ended, ProgramError):
            known = meaning(ended)
            # Compose says which container keeps the others waiting, and not why.
            if known is ended:
                self._blame()
            raise known from ended

    @staticmethod
    def _heard(said: "queue.Queue[str | ProgramError | None]") -> ProgramError | None | bool:
        """Return how Compose ended, or that it has not."""
        try:
            while isinstance(line := said.get(timeout=_LOOK_S), str):
                pass
        except queue.Empty:
            return False
        return line

    def _wait(self, progress: Progress, deadline: float, only: str | None = None) -> None:
        told = _Told(progress)
        while not self._look(told, deadline, only):
            time.sleep(_LOOK_S)

    def _look(self, told: "_Told", deadline: float, only: str | None = None) -> bool:
        """Tell what has changed; return whether all are ready. Raises ``TargetError`` where that is in vain."""
        found = [one for one in self._containers() if not containers.finished(one)]
        found = [one for one in found if only in (None, one["Name"].removeprefix("/"))]
        for one in found:
            told.state(one)
            if containers.hopeless(one):
                raise _in_vain(self._replica(one))
        waiting = [one for one in found if containers.state_of(one) != "ready"]
        if waiting and time.monotonic() > deadline:
            reasons = ", ".join(f"{one.name} ({one.reason or one.state})" for one in map(self._replica, waiting))
            raise TargetError(f"not ready in time: {reasons}", hint="wait longer with --timeout, or look at the logs")
        return not waiting

    def _blame(self) -> None:
        """Raise ``TargetError`` for the containers that are in trouble, if any is.

        One that comes and goes is caught when it is gone: only then is known how it ended.
        """
        until = time.monotonic() + _CATCH_S
        while True:
            found = [one for one in self._containers() if not containers.finished(one)]
            for one in filter(containers.troubled, found):
                raise _in_vain(containers.replica(one, self._docker.last(one["Id"])))
            if not any(map(containers.returning, found)) or time.monotonic() > until:
                return
            time.sleep(_LOOK_S / 5)

    def _replica(self, told: Told) -> Replica:
        quiet = containers.state_of(told) in ("ready", "starting", "stopped")
        return containers.replica(told, () if quiet else self._docker.last(told["Id"]))

    def _changed(self, release: Release, text: str) -> list[str]:
        """Compare what would run with what does, by the digests that Compose keeps of both."""
        words = ["compose", "--project-name", self._name, "--project-directory", str(self._folder), "--file", "-"]
        # Secrets play no part in it, but Compose wants the variables to be there.
        secrets = {name: release.project.secrets[name] for name, _ in secret_readers(release)}
        environment = {one.environment or secret_variable(name): "-" for name, one in secrets.items()}
        hashes = self._docker.run(*words, "config", "--hash", "*", given=text, environment=environment)
        wanted = dict(line.split() for line in hashes.splitlines() if line.strip())
        lines: list[str] = []
        running: Counter[str] = Counter()
        for one in self._containers():
            labels = one["Config"]["Labels"]
            service, known = labels["com.docker.compose.service"], labels.get("com.docker.compose.config-hash")
            running[service] += 1
            if service not in wanted:
                lines.append(f"container {one['Name'].removeprefix('/')}: would be removed")
            elif wanted[service] != known:
                lines.append(f"container {one['Name'].removeprefix('/')}: would be made anew")
        number = {name: replicas(value) for name, value in release.project.services.items()}
        absent = [name for name in wanted if not running[name] and number.get(name) != 0]
        lines += [f"service {name}: would be started" for name in absent]
        others = [name for name, count in number.items() if running[name] not in (0, count)]
        lines += [f"service {name}: {number[name]} replicas instead of {running[name]}" for name in others]
        return sorted(lines)


class _Told:
    """Tells a person of every container's state once, when it changes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._known: dict[str, str] = {}

    def state(self, told: Told) -> None:
        name, state = told["Name"].removeprefix("/"), containers.state_of(told)
        if self._known.get(name) != state:
            self._known[name] = state
            self._progress(f"{name} is {state}")


def _in_vain(replica: Replica) -> TargetError:
    hint = f"`windlass logs {replica.service}` tells more; `windlass up` goes on when it is put right"
    return TargetError(f"{replica.name} does not start: {replica.reason}", hint=hint)


def _check_file(name: str, path: str, folder: Path, user: int) -> None:
    """Raise ``TargetError`` where a secret's file is not there, or not for the user of the container."""
    file = folder / path
    if not file.is_file():
        raise TargetError(f"the secret `{name}` is not there", found=f"`{path}` is no file", hint=f"write `{path}`")
    if not secret_is_readable(file, user):
        raise TargetError(
            f"the secret `{name}` cannot be read in its container, by user {user}",
            found=f"`{path}` has mode {file.stat().st_mode & 0o777:o}",
            hint=f"`chmod o+r {path}`, and keep others out with `chmod 700` on its folder",
        )


def _drained(lines: Iterator[str], said: "queue.Queue[str | ProgramError | None]") -> None:
    try:
        for line in lines:
            said.put(line)
    except ProgramError as error:
        said.put(error)
    except ValueError:  # closed, since nobody listens any more
        said.put(None)
    else:
        said.put(None)


def _last_first(told: Told) -> tuple[bool, str]:
    """The door is shut before those behind it are stopped."""
    return told["Config"]["Labels"].get("com.docker.compose.service") != "gateway", told["Name"]
