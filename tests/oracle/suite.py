"""A repository, what both servers are asked about it, and which answers are meant to differ."""

import http.client
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oracle.cases import Rest, Rpc
from oracle.meant import Meant, is_fault_of_json
from oracle.servers import Served, ask_rest, ask_rpc, equal, served


@dataclass(frozen=True)
class Together:
    """Questions that are asked at the same time. Which of them fares how is left to chance: what happens at all counts."""

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
        found: dict[str, Any] = {}
        left = _named(self.questions())
        while left:
            # The real server does not outlive every question, and now and then hangs: it is started anew for the next.
            where = folder.with_name(f"{which}{len(found)}")
            with served(which, where, self.write, *self.options) as server:
                while left:
                    name, question = left.pop(0)
                    found[name] = ask(server, question)
                    if found[name] == ENDED:
                        break
        return found

    def differences(self, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
        """Return what differs and is not meant to, and what was meant to and does not."""
        different, used = [], set()
        for name, their in theirs.items():
            if their == ENDED != ours[name] or equal(ours[name], their):
                continue
            patterns = [pattern for pattern in self.meant if re.fullmatch(pattern, name)]
            if reason := next((pattern for pattern in patterns if self.meant[pattern].holds(their, ours[name])), None):
                used.add(reason)
            elif not is_fault_of_json(their, ours[name]):
                different.append(f"{name}\n    triton:   {their}\n    windlass: {ours[name]}")
        return different + [f"no longer needed: {pattern}" for pattern in self.meant if pattern not in used]


# What a question is answered with that ended the server.
ENDED = "ended"

KINDS = {Rest: "REST", Rpc: "gRPC", Together: "together"}


def _named(questions: Sequence[Question]) -> list[tuple[str, Question]]:
    found: dict[str, Question] = {}
    for question in questions:
        name = f"{KINDS[type(question)]} {question.name}"
        times = sum(other.partition(" (again ")[0] == name for other in found)
        found[f"{name} (again {times})" if times else name] = question
    return list(found.items())


def ask(server: Served, question: Question) -> Any:
    """Ask one question; of several the answers there were.

    What the real server keeps to itself about a model it does not find is taken from its log.
    """
    if isinstance(question, Together):
        with ThreadPoolExecutor(len(question.questions)) as pool:
            answers = pool.map(lambda one: str(ask(server, one)), question.questions)
            return sorted(set(answers))
    before = server.log.stat().st_size
    try:
        answer = ask_rest(server.port, question) if isinstance(question, Rest) else ask_rpc(server.channel, question)
    except (ConnectionError, TimeoutError, http.client.HTTPException):
        return ENDED
    if answer[0] == "UNAVAILABLE" and re.search("Socket closed|Connection|connect", str(answer[1])):
        return ENDED
    if "failed to poll from model repository" in str(answer):
        with server.log.open() as log:
            log.seek(before)
            reason = re.search(r"Poll failed for model directory '[^']*': (.*)\"", log.read())
        return (*answer, reason[1]) if reason else answer
    return answer
