"""A release as processes of this machine, watched by a supervisor that outlives the command which started it."""

import dataclasses
import difflib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from windlass.config.project import LocalTarget
from windlass.errors import TargetError
from windlass.generate import processes
from windlass.generate.processes import Process
from windlass.release import Release
from windlass.targets import shell
from windlass.targets.processes.supervisor import LOGS, SOCKET
from windlass.targets.secrets import secret
from windlass.targets.target import Progress, Replica

# Seconds a supervisor that was just started may take to listen.
_LISTENS_S = 10.0
_SIZES = {"k": 10**3, "m": 10**6, "g": 10**9}


class LocalProcesses:
    """What runs on this machine for one target of a project; ``folder`` is where its files, logs and socket are."""

    def __init__(self, folder: Path, project_folder: Path) -> None:
        self._folder = folder
        self._project_folder = project_folder

    def up(self, release: Release, progress: Progress, *, timeout_s: float) -> None:
        """Start the supervisor where it is not there, tell it what shall run, wait until all is ready."""
        wanted = processes.processes(release)
        secrets = {one.name: self._secrets(release, one) for one in wanted}
        running = {replica.name for replica in self.status()}
        for process in wanted:
            if process.name not in running:
                _check_ports(process)
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder.parent / ".gitignore").write_text("# What windlass keeps here is no source.\n*\n")
        for path, text in processes.files(release).items():
            (self._folder / path).write_text(text)
        self._supervised(progress)
        logs = release.project.observability.logs
        self._ask(
            do="apply",
            processes=[_definition(self._folder, process) for process in wanted],
            secrets=secrets,
            log_bytes=int(logs.max_size[:-1]) * _SIZES[logs.max_size[-1]],
            log_files=logs.max_files,
        )
        self._wait(progress, timeout_s)

    def plan(self, release: Release) -> str:
        """Return how the list of processes would differ, and which are not running as listed."""
        diff: list[str] = []
        for path, text in processes.files(release).items():
            file = self._folder / path
            before = file.read_text() if file.is_file() and self.status() else ""
            diff += difflib.unified_diff(
                before.splitlines(), text.splitlines(), f"running/{path}", f"new/{path}", lineterm=""
            )
        return "\n".join(diff)

    def down(self, progress: Progress, *, volumes: bool = False) -> None:
        """End every process, and the supervisor; with ``volumes`` remove the logs."""
        if self._reach() is None:
            progress("nothing is running")
        else:
            progress("finishing what is in flight")
            self._ask(do="stop")
        if volumes:
            for file in (self._folder / LOGS).glob("*.log*"):
                file.unlink()

    def status(self) -> list[Replica]:
        """Return every process there is; none where no supervisor is."""
        told = self._ask(do="status") if self._reach() is not None else {"processes": []}
        return [
            Replica(
                service=one["service"],
                name=one["name"],
                state=one["state"],
                address=one["address"],
                restarts=one["restarts"],
                started=one["started"],
                reason=one["reason"],
            )
            for one in told["processes"]
        ]

    def logs(self, service: str | None, *, follow: bool, tail: int) -> Iterator[str]:
        """Yield the last lines of each process' log, then new ones as they come."""
        names = self._named(service)
        files = {name: self._folder / LOGS / f"{name}.log" for name in names}
        width = max((len(name) for name in names), default=0)
        read: dict[str, tuple[int, int]] = {}
        for name, file in files.items():
            if file.is_file():
                with file.open(errors="replace") as opened:
                    lines = opened.read().splitlines()
                    read[name] = (file.stat().st_ino, opened.tell())
                yield from (f"{name:{width}} | {line}" for line in lines[-tail:] if tail)
        while follow:
            for name, file in files.items():
                for line in _new_lines(file, read, name):
                    yield f"{name:{width}} | {line}"
            time.sleep(0.2)

    def scale(self, release: Release, service: str, replicas: int, progress: Progress) -> None:
        """Run another number of processes of a service, each with ports of its own."""
        target = release.target
        if isinstance(target, LocalTarget) and target.processes == "one":
            raise TargetError(
                f"target `{release.target_name}` runs one server for all services",
                hint=f"add `processes: per-service` under `targets.{release.target_name}`, then `windlass up`",
            )
        services = dict(release.project.services)
        services[service] = services[service].model_copy(update={"replicas": replicas})
        project = release.project.model_copy(update={"services": services})
        self.up(dataclasses.replace(release, project=project), progress, timeout_s=services[service].startup)

    def restart(self, service: str | None, progress: Progress) -> None:
        """Start processes anew, one after the other."""
        for name in self._named(service):
            progress(f"{name}: starting anew")
            self._ask(do="restart", name=name)

    def _named(self, service: str | None) -> list[str]:
        """Return the processes of a service, or all."""
        replicas = self.status()
        if not replicas:
            raise TargetError("nothing is running", hint="start it with `windlass up`")
        named = [one.name for one in replicas if service in (None, one.name) or service in one.service.split(", ")]
        if not named:
            raise TargetError(
                f"there is no service `{service}` running", found=", ".join(sorted({one.service for one in replicas}))
            )
        return named

    def _secrets(self, release: Release, process: Process) -> dict[str, str]:
        named = process.secrets.items()
        return {variable: secret(release.project, name, self._project_folder) for variable, name in named}

    def _wait(self, progress: Progress, timeout_s: float) -> None:
        """Tell how each process comes along, until all are ready or one has failed."""
        until = time.monotonic() + timeout_s
        told: dict[str, str] = {}
        while True:
            replicas = self.status()
            for one in replicas:
                if told.get(one.name) != one.state:
                    told[one.name] = one.state
                    progress(f"{one.name}: {one.state}" + (f" at {one.address}" if one.state == "ready" else ""))
            if all(one.state == "ready" for one in replicas):
                return
            # A server that answers, and has a model that did not load, will not become ready by waiting.
            failed = [one for one in replicas if one.state in ("failed", "unready")]
            if failed or time.monotonic() > until:
                one = (failed or [one for one in replicas if one.state != "ready"])[0]
                what = "does not become ready" if failed else f"is not ready after {timeout_s:g} s"
                hint = "read `windlass logs`; what runs stays until `windlass down`"
                raise TargetError(f"`{one.name}` {what}", found=one.reason or None, hint=hint)
            time.sleep(0.2)

    def _supervised(self, progress: Progress) -> None:
        if self._reach() is not None:
            return
        progress("starting the supervisor")
        shell.detach("windlass.targets.processes.supervisor", str(self._folder), log=self._folder / "supervisor.log")
        until = time.monotonic() + _LISTENS_S
        while self._reach() is None:
            if time.monotonic() > until:
                raise TargetError("the supervisor does not start", hint=f"read `{self._folder / 'supervisor.log'}`")
            time.sleep(0.05)

    def _reach(self) -> socket.socket | None:
        """Connect to the supervisor; ``None`` where there is none."""
        if not self._folder.is_dir():
            return None
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        reached = socket.socket(socket.AF_UNIX)
        try:
            # The folder by its descriptor: names of sockets are short, and folders lie deep.
            reached.connect(f"/proc/self/fd/{folder}/{SOCKET}")
        except (FileNotFoundError, ConnectionRefusedError):
            reached.close()
            return None
        finally:
            os.close(folder)
        return reached

    def _ask(self, **request: Any) -> dict[str, Any]:
        reached = self._reach()
        if reached is None:
            raise TargetError("nothing is running", hint="start it with `windlass up`")
        with reached, reached.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer = stream.readline()
        if not answer:
            hint = f"`windlass up` starts it again; its log is `{self._folder / 'supervisor.log'}`"
            raise TargetError("the supervisor ended while it was asked", hint=hint)
        told: dict[str, Any] = json.loads(answer)
        return told


def _definition(folder: Path, process: Process) -> dict[str, Any]:
    """Return a process as plain values, its repository named from the root: the supervisor has another folder."""
    words = [str((folder / word).resolve()) if index == 2 else word for index, word in enumerate(process.words)]
    return json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(process, words=tuple(words)))))  # type: ignore[no-any-return]


def _check_ports(process: Process) -> None:
    ports = {"http_port": process.http_port, "grpc_port": process.grpc_port, "metrics_port": process.metrics_port}
    for key, port in ports.items():
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((process.host, port))
            except OSError as error:
                hint = f"end what listens there (`ss -ltnp` tells), or set another `{key}` under the target"
                message = f"`{process.name}` cannot listen on {process.host}:{port}"
                raise TargetError(message, found=error.strerror, hint=hint) from error


def _new_lines(file: Path, read: dict[str, tuple[int, int]], name: str) -> Iterator[str]:
    """Yield what was added to a log since it was last read; from its start where it is another file now."""
    try:
        with file.open(errors="replace") as opened:
            inode, place = read.get(name, (0, 0))
            now = os.fstat(opened.fileno())
            opened.seek(place if inode == now.st_ino and place <= now.st_size else 0)
            while (line := opened.readline()).endswith("\n"):
                yield line.rstrip("\n")
                read[name] = (now.st_ino, opened.tell())
    except FileNotFoundError:
        return
