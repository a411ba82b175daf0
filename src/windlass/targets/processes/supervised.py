"""One supervised server process: started, watched, started anew when it ends, ended when it is told to."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from windlass.targets.processes.probe import Health, probe
from windlass.targets.processes.rotation import Rotation
from windlass.targets.shell import dies_with_parent

# Seconds until a process that ended is started again: twice as long every time, until it has been ready.
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
# A process that ends so often before it was ever ready is called failed. It is tried on.
TRIES = 3
# A server that was ready and has not answered for so long is ended and started anew.
SILENT_S = 60.0


@dataclass
class Supervised:
    """A process as it is defined, and as it is. ``definition`` is a ``generate.processes.Process`` as plain values."""

    definition: dict[str, Any]
    secrets: dict[str, str]
    log: Rotation
    state: str = "starting"
    restarts: int = 0
    started: str = ""
    reason: str = ""
    pid: int | None = None
    _early: int = 0
    _task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Its name, one of its kind."""
        return str(self.definition["name"])

    def start(self) -> None:
        """Run it until ``stop``."""
        self.state = "starting"
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it: first by asking, after its time to drain by force."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.state, self.reason, self.pid = "stopped", "", None
        self.log.close()

    async def restart(self) -> None:
        """End it and start it anew."""
        await self.stop()
        self.start()

    def as_dict(self) -> dict[str, Any]:
        """Return what is to be told of it."""
        host, port = self.definition["host"], self.definition["http_port"]
        keys = ("name", "state", "restarts", "started", "reason", "pid")
        told = {key: getattr(self, key) for key in keys}
        return {**told, "service": self.definition["service"], "address": f"http://{host}:{port}"}

    async def _run(self) -> None:
        wait = FIRST_WAIT_S
        while True:
            was_ready = await self._once()
            self._early = 0 if was_ready else self._early + 1
            wait = FIRST_WAIT_S if was_ready else min(wait * 2, LONGEST_WAIT_S)
            self.state = "failed" if self._early >= TRIES else "restarting"
            await asyncio.sleep(wait)
            self.restarts += 1

    async def _once(self) -> bool:
        """Run the process to its end; tells whether it was ever ready."""
        if self.state != "failed":
            self.state = "starting"
        self.log.begin()
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        process = await _spawn(self.definition, self.secrets)
        self.pid = process.pid
        reading = asyncio.create_task(self._read(process))
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({asyncio.create_task(process.wait()), watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            await asyncio.shield(_end(process, self.definition["drain_s"]))
            await asyncio.wait({reading}, timeout=1)
            reading.cancel()
        was_ready = self.state in ("ready", "unready")
        self.pid, self.reason = None, _ending(process.returncode, self.log.telling)
        return was_ready

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Keep what it says. A line that is too long for the reader's memory is kept in pieces."""
        while process.stdout and (piece := await _piece(process.stdout)):
            self.log.write(piece)

    async def _watch(self) -> None:
        """Follow its readiness; returns when it has been silent for too long."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        host, port = self.definition["host"], self.definition["http_port"]
        while loop.time() - heard < (SILENT_S if self.state in ("ready", "unready") else self.definition["startup_s"]):
            health = await probe(host, port)
            if health is not None:
                heard = loop.time()
            self._heard(health)
            await asyncio.sleep(1.0 if self.state == "ready" else 0.2)

    def _heard(self, health: Health | None) -> None:
        """Take note of how the server is; while it starts, silence and loading are nothing to tell."""
        if health is not None and health.ready:
            self.state, self.reason = "ready", ""
        elif self.state == "ready" and (health is None or health.loading):
            self.state, self.reason = "unready", "a model is not ready" if health else "it does not answer"
        elif health is not None and health.reason:
            self.state, self.reason = "unready", health.reason


async def _spawn(definition: dict[str, Any], secrets: dict[str, str]) -> asyncio.subprocess.Process:
    words = definition["words"]
    # The same windlass as this one, whatever the PATH says.
    command = [sys.executable, "-m", "windlass", *words[1:]] if words[0] == "windlass" else words
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **definition.get("environment", {}), **secrets},
        preexec_fn=dies_with_parent(),
    )


async def _end(process: asyncio.subprocess.Process, drain_s: float) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), drain_s + 5)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _piece(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed or 1)


def _ending(code: int | None, last: str) -> str:
    killed = code is not None and code < 0
    how = f"it was ended by {signal.Signals(-(code or 0)).name}" if killed else f"it ended with {code}"
    return f"{how}: {last}" if last else how
