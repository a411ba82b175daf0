"""A repository, what both servers are asked about it, and which answers are meant to differ."""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oracle.cases import Rest, Rpc
from oracle.meant import Meant
from oracle.servers import Served, ask_rest, ask_rpc, equal, served


@dataclass(frozen=True)
class Together:
    """Questions that are asked at the same time."""

    name: str
    questions: Sequence[Rest | Rpc]


Question = Rest | Rpc | Together


@dataclass(frozen=True)
class Suite:
    """What is compared between one start of a server and its end."""

    write: Callable[[Path], None]
    questions: Callable[[], Sequence[Question]]
    meant: Mapping[str, Meant] = field(default_factory=dict)
    options: Sequence[str] = ()

    def ask_all(self, which: str, folder: Path) -> dict[str, Any]:
        """Ask one of the servers everything; the answers by the name of the question."""
        with served(which, folder, self.write, *self.options) as server:
            found: dict[str, Any] = {}
            for question in self.questions():
                name = f"{KINDS[type(question)]} {question.name}"
                times = sum(other.partition(" (again ")[0] == name for other in found)
                found[f"{name} (again {times})" if times else name] = ask(server, question)
        return found

    def differences(self, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
        """Return what differs and is not meant to, and what was meant to and does not."""
        different, used = [], set()
        for name, their in theirs.items():
            if equal(ours[name], their):
                continue
            reason = next((pattern for pattern in self.meant if re.fullmatch(pattern, name)), None)
            if reason is not None and self.meant[reason].holds(their, ours[name]):
                used.add(reason)
            else:
                different.append(f"{name}\n    triton:   {their}\n    windlass: {ours[name]}")
        return different + [f"no longer needed: {pattern}" for pattern in self.meant if pattern not in used]


KINDS = {Rest: "REST", Rpc: "gRPC", Together: "together"}


def ask(server: Served, question: Question) -> Any:
    """Ask one question; of several the answers in their order.

    What the real server keeps to itself about a model it does not find is taken from its log.
    """
    if isinstance(question, Together):
        with ThreadPoolExecutor(len(question.questions)) as pool:
            return list(pool.map(lambda one: ask(server, one), question.questions))
    before = server.log.stat().st_size
    answer = ask_rest(server.port, question) if isinstance(question, Rest) else ask_rpc(server.channel, question)
    if "failed to poll from model repository" in str(answer):
        with server.log.open() as log:
            log.seek(before)
            reason = re.search(r"Poll failed for model directory '[^']*': (.*)\"", log.read())
        return (*answer, reason[1]) if reason else answer
    return answer
