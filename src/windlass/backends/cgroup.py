"""What a cgroup lets this process have: the tightest limit of its own group and of those above, of v1 and of v2.

In a container of its own namespace the mount shows the container's group as the top; elsewhere the group is a folder
below it, and every folder on the way may have a limit.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
# v1 says "no limit" with the largest number of whole pages.
_UNLIMITED = 1 << 60


def cpu_limit(root: Path = ROOT) -> float | None:
    """Return how many cores may be used at a time, perhaps a part of one; ``None`` without a limit."""
    return min(_cpu_limits(root), default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """Return how many bytes may be used; ``None`` without a limit."""
    return min(_memory_limits(root), default=None)


def throttling(root: Path = ROOT) -> tuple[int, int]:
    """Return in how many periods of the scheduler this group ran, and in how many it was held back."""
    found = next((_pairs(text) for folder in folders("cpu", root) if (text := _text(folder / "cpu.stat"))), {})
    return found.get("nr_periods", 0), found.get("nr_throttled", 0)


def memory_kills(root: Path = ROOT) -> int:
    """Return how many processes of this group the kernel killed since they wanted more than its limit."""
    for folder in folders("memory", root):
        text = _text(folder / "memory.events") or _text(folder / "memory.oom_control")
        if text:
            return _pairs(text).get("oom_kill", 0)
    return 0


def folders(controller: str, root: Path = ROOT) -> list[Path]:
    """Return the folders of a controller's groups: this process' own, then those above it."""
    mounts = list(_mounts(_text(root / "proc/self/mountinfo") or "", controller))
    groups = _groups(_text(root / "proc/self/cgroup") or "")
    for kind, top, point in mounts:
        group = groups.get(controller if kind == "cgroup" else "")
        if group is None:
            continue
        below = group.removeprefix(top.rstrip("/")).strip("/") if group.startswith(top) and ".." not in group else ""
        folder = root / point.strip("/")
        own = folder / below
        # The path may be one of another namespace: then the mount itself is this process' group.
        steps = len(Path(below).parts) if below and own.is_dir() else 0
        return [own, *list(own.parents)[:steps]] if steps else [folder]
    return []


def _mounts(text: str, controller: str) -> Iterator[tuple[str, str, str]]:
    """Yield type, top and place of what is mounted; a controller that v1 has is not in v2."""
    found = []
    for line in text.splitlines():
        place, _, rest = line.partition(" - ")
        fields, kind, options = place.split(), rest.split(" ")[0], rest.split(" ")[-1]
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            found.append((kind, fields[3], fields[4]))
    yield from sorted(found, key=lambda mount: mount[0])


def _groups(text: str) -> dict[str, str]:
    """Return the group by controller; that of v2 has no name."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    return {name: line[2] for line in lines if len(line) == 3 for name in line[1].split(",")}


def _cpu_limits(root: Path) -> Iterator[float]:
    for folder in folders("cpu", root):
        words = (_text(folder / "cpu.max") or "").split()
        if not words:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
            words = [quota.strip(), period.strip()] if quota and period else []
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
            yield int(words[0]) / int(words[1])


def _memory_limits(root: Path) -> Iterator[int]:
    for folder in folders("memory", root):
        text = (_text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes") or "").strip()
        if text.isdecimal() and int(text) < _UNLIMITED:
            yield int(text)


def _pairs(text: str) -> dict[str, int]:
    lines = [line.split() for line in text.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdecimal()}


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return None
