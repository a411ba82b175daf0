"""The program that supervises server processes: told over a socket what shall run, it makes that so and keeps it.

``python -m windlass.targets.processes.supervisor FOLDER``. A request is a line of JSON and so is its answer. Secrets
reach it over the socket and stay in its memory.
"""

import asyncio
import fcntl
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from windlass.targets.processes.rotation import Rotation
from windlass.targets.processes.supervised import Supervised

SOCKET = "control.sock"
LOCK = "supervisor.lock"
LOGS = "logs"
# A request lists every process; thousands of them still fit.
MAX_REQUEST_BYTES = 16 << 20


class Supervisor:
    """All processes of one target, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, Supervised] = {}
        self._changing = asyncio.Lock()
        self.ended = asyncio.Event()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; what is told is the state after it."""
        verbs = {"apply": self._apply, "restart": self._restart, "stop": self._stop}
        verb = verbs.get(str(request.get("do")))
        if verb is not None:
            async with self._changing:
                await verb(request)
        return {"processes": [process.as_dict() for process in self._processes.values()]}

    async def _apply(self, request: dict[str, Any]) -> None:
        """Run these processes and no others; those that are as they shall be, and well, are left alone."""
        wanted = {definition["name"]: definition for definition in request["processes"]}
        secrets: dict[str, dict[str, str]] = request["secrets"]
        differing = [
            process
            for name, process in self._processes.items()
            if process.state in ("failed", "unready")
            or process.definition != wanted.get(name)
            or process.secrets != secrets.get(name, {})
        ]
        await asyncio.gather(*(process.stop() for process in differing))
        for process in differing:
            del self._processes[process.name]
        kept = self._processes
        self._processes = {name: kept.get(name) or self._started(one, secrets, request) for name, one in wanted.items()}

    def _started(
        self, definition: dict[str, Any], secrets: dict[str, dict[str, str]], request: dict[str, Any]
    ) -> Supervised:
        name = definition["name"]
        log = Rotation(self._folder / LOGS / f"{name}.log", size_bytes=request["log_bytes"], files=request["log_files"])
        process = Supervised(definition, secrets.get(name, {}), log)
        process.start()
        return process

    async def _restart(self, request: dict[str, Any]) -> None:
        """Start processes anew, the next one when the one before is ready again, or has failed."""
        for process in list(self._processes.values()):
            if request.get("name") in (None, process.name):
                await process.restart()
                while process.state in ("starting", "restarting"):
                    await asyncio.sleep(0.1)

    async def _stop(self, _: dict[str, Any]) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes.values()))
        self._processes.clear()
        self.ended.set()


async def supervise(folder: Path) -> None:
    """Serve requests in a folder until one says stop, or a signal does."""
    supervisor = Supervisor(folder)
    loop = asyncio.get_running_loop()

    def told() -> None:
        loop.create_task(supervisor.answer({"do": "stop"}))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await supervisor.answer(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # Who asked has gone, or is none of ours.
        finally:
            writer.close()

    Path(SOCKET).unlink(missing_ok=True)
    server = await asyncio.start_unix_server(converse, SOCKET, limit=MAX_REQUEST_BYTES)
    await supervisor.ended.wait()
    server.close()
    Path(SOCKET).unlink(missing_ok=True)


def main() -> None:
    """Supervise in the folder that is named; end at once where another does already."""
    # The name of a socket may be 107 bytes long, and folders lie deep.
    os.chdir(sys.argv[1])
    os.umask(0o077)
    with Path(LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        asyncio.run(supervise(Path.cwd()))


if __name__ == "__main__":
    main()
