"""kubectl for one context; what it complains of becomes a sentence and what to do."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from windlass.errors import TargetError
from windlass.targets import shell
from windlass.targets.shell import ProgramError

Object = dict[str, Any]

# What kubectl says, what it means, and what to do. Groups of the pattern fill both.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r'context "([^"]+)" does not exist|no context exists with the name: "([^"]+)"',
        "kubectl knows no context `{0}`",
        "`kubectl config get-contexts` shows those there are; name one as `context` of the target",
    ),
    (
        r'User "([^"]+)" cannot (\w+) resource "([^"]+)"(?:.* in the namespace "([^"]+)")?',
        "`{0}` may not {1} {2} in this cluster",
        "ask who runs it for a role that allows it in namespace `{3}`",
    ),
    (
        r"(?i)you must be logged in|unauthorized|the server has asked for the client to provide credentials",
        "the cluster does not accept these credentials",
        "log in again, or name another `context` of the target",
    ),
    (
        r'no matches for kind "(\w+)" in version "([^"]+)"',
        "the cluster knows no `{0}` of `{1}`",
        "install what brings it; the rendered README.md tells what that is",
    ),
    (
        r"namespaces \"([^\"]+)\" not found",
        "the cluster has no namespace `{0}`",
        "`windlass up` makes it where it may; otherwise have it made",
    ),
    (
        r'(\w+)\.\S* "([^"]+)" is invalid:.*?(?:field is immutable|updates to statefulset spec for fields other)',
        "the {0} `{1}` cannot be changed into what the project says now",
        "`windlass down`, then `windlass up`: volumes stay",
    ),
    (
        r"exceeded quota: ([^,]+), requested: ([^,]+)",
        "quota `{0}` does not allow {1} more",
        "raise the tenant's `quota`, or ask for less",
    ),
    (
        r'admission webhook "([^"]+)" denied the request: (.+)',
        "the cluster's `{0}` refuses: {1}",
        "change windlass.yaml to what it allows",
    ),
    (
        r"(?i)connection to the server (\S+) was refused|dial tcp:? (?:lookup )?([^\s:]+(?::\d+)?)|"
        r"unable to connect to the server|i/o timeout|context deadline exceeded",
        "no Kubernetes API answers{0}",
        "name a cluster that runs as `context` of the target: `kubectl config get-contexts`",
    ),
)


class Kubectl:
    """kubectl as one target sees its cluster."""

    def __init__(self, context: str | None = None) -> None:
        self._where = ("--context", context) if context else ()

    def run(self, *words: str, given: str | None = None, timeout_s: float | None = None) -> str:
        """Run a command to its end and return what it printed. Raises ``TargetError`` that tells what it means."""
        try:
            return shell.run(["kubectl", *self._where, *words], given=given, timeout_s=timeout_s)
        except ProgramError as error:
            raise meaning(error) from error

    def objects(self, kinds: str, namespace: str, *words: str) -> list[Object]:
        """Return objects of some kinds."""
        told = json.loads(self.run("get", kinds, f"--namespace={namespace}", "--output=json", *words))
        found: list[Object] = told["items"]
        return found

    def found(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object; nothing where there is none of that name."""
        place = (f"--namespace={namespace}",) if namespace else ()
        text = self.run("get", kind, name, *place, "--ignore-not-found", "--output=json")
        return json.loads(text) if text.strip() else None

    def apply(self, text: str) -> list[str]:
        """Make objects be as they are written here; what others set in the same fields gives way."""
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=windlass", "--filename=-")
        return self.run(*words, given=text).splitlines()

    def diff(self, text: str) -> str:
        """Return how objects would differ."""
        words = ("diff", "--server-side", "--force-conflicts", "--field-manager=windlass", "--filename=-")
        try:
            return shell.run(["kubectl", *self._where, *words], given=text)
        except ProgramError as error:
            # 1 tells of differences, and they are what it printed.
            if error.status == 1 and error.printed:
                return error.printed
            raise meaning(error) from error

    def groups(self) -> set[str]:
        """Return the API groups that the cluster knows."""
        return {line.rpartition("/")[0] for line in self.run("api-versions").split()}

    @contextmanager
    def lines(self, *words: str) -> Iterator[Iterator[str]]:
        """Lend the lines of a command as they come."""
        with shell.lines(["kubectl", *self._where, *words]) as lines:
            yield lines


def meaning(error: ProgramError) -> TargetError:
    """Return the error that a person understands; the same one where nothing is known of it."""
    for pattern, sentence, hint in _MEANINGS:
        found = re.search(pattern, error.said, re.DOTALL)
        if found:
            given = [group for group in found.groups() if group] or [""]
            words = _filled(sentence, given)
            return TargetError(
                words, found=error.said.splitlines()[-1] if error.said else None, hint=_filled(hint, given)
            )
    return error


def _filled(text: str, given: list[str]) -> str:
    if text.endswith("answers{0}"):
        return text.replace("{0}", f" at `{given[0]}`" if given[0] else "")
    return text.format(*given, *[""] * 4)
