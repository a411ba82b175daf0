"""What a folder lies on."""

from pathlib import Path

# Those whose files stay readable for whoever has mapped them, also after they are gone from their folder.
_LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})


def is_local(folder: Path, mounts: str | None = None) -> bool:
    """Tell whether files of a folder may be mapped without fear.

    On a network's file system, where another machine may delete a file, reading a page of it can end the process.
    ``mounts`` is the text of ``/proc/self/mountinfo`` (proc(5)), which is read where none is given.
    """
    try:
        text = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
        place = folder.resolve()
    except OSError:
        return False
    kind, longest = "", -1
    for line in text.splitlines():
        before, _, behind = line.partition(" - ")
        mount = Path(before.split()[4].encode().decode("unicode_escape"))
        # Of two mounts at one place the later one is seen.
        if place.is_relative_to(mount) and len(mount.parts) >= longest:
            kind, longest = behind.split()[0], len(mount.parts)
    return kind in _LOCAL
