"""A newer nginx than this machine's, from the next Debian, with the C library that it wants and its loader."""

from pathlib import Path

from tools import debian
from tools.place import link, made

RELEASES = ("forky",)
PACKAGES = [f"{name}/forky" for name in ("nginx", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3t64", "zlib1g")]
NAME = "nginx-newer"

START = """\
#!/bin/sh
exec {libraries}/ld-linux-x86-64.so.2 --library-path {libraries} {tree}/usr/sbin/nginx "$@"
"""


def unpack(folder: Path) -> None:
    """Download it and what it is linked with, and write what starts it."""
    debian.unpack(folder, PACKAGES, RELEASES)
    tree = folder / "tree"
    start = folder / NAME
    start.write_text(START.format(tree=tree, libraries=tree / "usr/lib/x86_64-linux-gnu"))
    start.chmod(0o755)


def install() -> None:
    """Unpack it unless it is there."""
    folder = made("nginx", " ".join([*PACKAGES, "1"]), unpack)
    link([folder / NAME])
