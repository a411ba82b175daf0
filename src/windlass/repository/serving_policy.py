"""Changes which versions of a model are served, in the text of its ``config.pbtxt``; all else stays as written."""

import re
from collections.abc import Iterable
from pathlib import Path

from windlass.config import parse_text
from windlass.repository.repository import ModelEntry
from windlass.repository.versions import select


def pin(entry: ModelEntry) -> None:
    """Have the model go on serving the versions that it serves now, whatever versions come."""
    config = entry.config
    if config is not None and config.version_policy.HasField("specific"):
        return
    _write(entry, select(config, entry.versions) if config is not None else entry.versions)


def switch(entry: ModelEntry, version: int) -> None:
    """Serve this version, and no other, from now on.

    A server that polls its repository, or is told to load the model, swaps without losing a request.
    """
    _write(entry, [version])


def with_versions(text: str, versions: Iterable[int]) -> str:
    """Return the text of a configuration with a policy that serves these versions, in place of the one it has."""
    policy = f"version_policy {{ specific {{ versions: [ {', '.join(map(str, sorted(versions)))} ] }} }}\n"
    start, end = _policy(text)
    if start < 0:
        before = text if not text or text.endswith("\n") else f"{text}\n"
        return before + policy
    return text[:start] + policy.rstrip("\n") + text[end:]


# What the text of a message consists of, as far as it matters where a member ends.
_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}<>]|[A-Za-z_]\w*""")


def _policy(text: str) -> tuple[int, int]:
    """Return where the model's own ``version_policy`` begins and ends; -1 where it has none."""
    depth, start = 0, -1
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "{<":
            depth += 1
        elif word in "}>":
            depth -= 1
            if depth == 0 and start >= 0:
                return start, token.end()
        elif word == "version_policy" and depth == 0:
            start = token.start()
    return -1, -1


def _write(entry: ModelEntry, versions: Iterable[int]) -> None:
    path = entry.config_path
    text = with_versions(path.read_text(encoding="utf-8") if path.exists() else "", versions)
    parse_text(text, str(path))
    replace_text(path, text)


def replace_text(path: Path, text: str) -> None:
    """Write a file as a whole: who reads it meanwhile sees the old one or the new one."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    if path.exists():
        beside.chmod(path.stat().st_mode & 0o777)
    beside.replace(path)
