"""A Docker engine of the tests' own: one for all test runs on a machine, on a socket and in folders of its own."""

import contextlib
import fcntl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import daemon
from tools.place import FOLDER, Failed, environment, lock, program, run

# Stand-in images name themselves in it. Images made from them inherit it, but have another name.
LABEL = "stand-in"
# What builds leave behind for the next ones.
CACHE = "2GB"


@dataclass(frozen=True)
class Engine:
    """An engine, known by its folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs in its environment to talk to this engine."""
        return environment(DOCKER_HOST=f"unix://{self.folder}/docker.sock", DOCKER_CONFIG=str(self.folder / "config"))

    def docker(self, *arguments: str | Path, cwd: Path | None = None, limit_s: int = 600) -> str:
        """Run Docker's client; returns what it wrote."""
        return run(program("docker"), *arguments, env=self.environment, cwd=cwd, limit_s=limit_s)

    def answers(self) -> bool:
        """Say whether the engine is up."""
        with contextlib.suppress(Failed):
            self.docker("version", limit_s=20)
            return True
        return False

    def health(self, container: str) -> str:
        """Wait for what the first health check of a container says."""
        filters = [f"--filter=container={container}", "--filter=event=health_status", "--since=10m"]
        command = [program("docker"), "events", *filters, "--format={{.Status}}"]
        with subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True) as events:
            assert events.stdout is not None
            status = events.stdout.readline().strip()
            events.kill()
        return status.removeprefix("health_status: ")

    def clear(self) -> None:
        """Remove what tests left: containers, their images, networks, volumes, and of the cache what would pile up."""
        left = self.docker("ps", "--all", "--quiet").split()
        if left:
            self.docker("rm", "--force", "--volumes", *left)
        self.docker("image", "prune", "--force")
        made = [image for image in self.images() if not image.own]
        if made:
            self.docker("image", "rm", "--force", *(image.name for image in made))
        self.docker("network", "prune", "--force")
        self.docker("volume", "prune", "--force", "--all")
        self.docker("builder", "prune", "--force", "--keep-storage", CACHE)

    def images(self) -> list["Image"]:
        """Return the images that have a name."""
        names = self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
        labels = self.docker("image", "inspect", "--format", form, *names).splitlines() if names else []
        return [Image(name, label.startswith(f"{name}=")) for name, label in zip(names, labels, strict=True)]


@dataclass(frozen=True)
class Image:
    """An image by its name, and whether it is one of the stand-ins."""

    name: str
    own: bool


@contextlib.contextmanager
def running() -> Iterator[Engine]:
    """Lend the engine: the first user starts it and the last one stops it, whichever of them dies on the way."""
    engine = Engine(FOLDER / "engine")
    engine.folder.mkdir(parents=True, exist_ok=True)
    with (engine.folder / "users").open("w") as users:
        with lock("engine"):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not engine.answers():
                daemon.start(engine.folder, engine.answers)
        try:
            yield engine
        finally:
            with lock("engine"), contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                engine.clear()
                daemon.stop(engine.folder)
