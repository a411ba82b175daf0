"""What every place that runs a release can do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from windlass.release import Release

# Tells a person what goes on, a sentence at a time.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Replica:
    """One running server (or part beside the servers) of a target.

    ``state`` is ``starting``, ``ready``, ``unready``, ``restarting``, ``stopped`` or ``failed``; ``reason`` is one
    sentence where it is not ready.
    """

    service: str
    name: str
    state: str
    image: str = ""
    address: str = ""
    restarts: int = 0
    started: str = ""
    reason: str = ""


class Running(Protocol):
    """A release on its target. Every method raises ``TargetError`` where the target cannot be reached or refuses.

    What an interrupted ``up`` leaves behind, the next ``up`` finishes and ``down`` removes.
    """

    def up(self, release: Release, progress: Progress, *, timeout_s: float) -> None:
        """Start what is not there, change what differs, remove what is no more; wait until all is ready."""

    def plan(self, release: Release) -> str:
        """Return what ``up`` would change, as a diff to read; empty where nothing would."""

    def down(self, progress: Progress, *, volumes: bool = False) -> None:
        """Stop and remove everything; with ``volumes`` what was kept too."""

    def status(self) -> list[Replica]:
        """Return every replica there is."""

    def logs(self, service: str | None, *, follow: bool, tail: int) -> Iterator[str]:
        """Yield log lines as they come, of one service or all; the last ``tail`` of each first."""

    def scale(self, release: Release, service: str, replicas: int, progress: Progress) -> None:
        """Run another number of replicas, until the next ``up``."""

    def restart(self, service: str | None, progress: Progress) -> None:
        """Start servers anew, one after the other."""
