"""Starts Docker's daemon from unpacked packages, and takes back what it did to the machine's network when it ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tools import debian
from tools.place import Failed, Missing, environment, program, run

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
INTERFACES = Path("/sys/class/net")
TABLES = ("iptables", "ip6tables")


def start(folder: Path, answers: Callable[[], bool]) -> None:
    """Start the daemon in a folder; says what hinders it where it cannot."""
    if os.geteuid() != 0:
        raise Missing("a container engine needs root")
    plugins = folder / "config" / "cli-plugins"
    shutil.rmtree(plugins, ignore_errors=True)
    shutil.copytree(debian.tree() / "usr/libexec/docker/cli-plugins", plugins)
    (folder / "before").write_text(FORWARDING.read_text())
    command = [
        str(program("dockerd")),
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'pid'}",
        f"--host=unix://{folder / 'docker.sock'}",
        f"--mtu={mtu()}",
    ]
    log = folder / "log"
    with log.open("w") as sink:
        # It belongs to no run: the one that started it may end first.
        subprocess.run(["setsid", "--fork", *command], env=environment(), stdout=sink, stderr=sink, check=True)
    until = time.monotonic() + 60
    while not answers():
        if "failed to start" in log.read_text() or time.monotonic() > until:
            stop(folder)
            raise Missing(f"no container engine starts here; the end of {log}:\n{log.read_text()[-1500:]}")
        time.sleep(0.1)


def stop(folder: Path) -> None:
    """Stop the daemon, if it is there, and wait until it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 60
        while Path(f"/proc/{pid}/fd").exists():
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    restore(folder)


def mtu() -> str:
    """Return the size of packets that the way out takes: a bridge that takes larger ones loses them."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        name, destination = line.split()[:2]
        if destination == "00000000":
            return (INTERFACES / name / "mtu").read_text().strip()
    return "1500"


def restore(folder: Path) -> None:
    """Take back what the daemon did: its bridges, its rules, and that packets are forwarded."""
    for interface in INTERFACES.iterdir():
        if interface.name == "docker0" or interface.name.startswith("br-"):
            run(debian.tree() / "bin/busybox", "ip", "link", "delete", interface.name)
    for table in TABLES:
        with contextlib.suppress(Failed):
            forget(table)
    FORWARDING.write_text((folder / "before").read_text())


def forget(table: str) -> None:
    """Keep the rules that have nothing to do with containers."""
    kept = []
    for line in run(program(f"{table}-save")).splitlines():
        if "DOCKER" not in line and "docker0" not in line and " br-" not in line:
            kept.append(line.replace(":FORWARD DROP", ":FORWARD ACCEPT"))
    text = "\n".join([*kept, ""])
    subprocess.run([program(f"{table}-restore")], input=text, text=True, check=True, capture_output=True)
