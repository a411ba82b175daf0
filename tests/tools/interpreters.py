"""CPython for the stand-in images: taken from this machine, since no package index has it for others' prefixes."""

import shutil
import sys
from pathlib import Path

from tools.place import Missing, run

WASTE = (
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "site-packages",
    "__pycache__",
    "config-*",
    "_tkinter*",
    "*.a",
)


def homes(version: str) -> list[Path]:
    """Return the prefixes in which an interpreter of that version may live for itself, the best first."""
    pyenv = Path.home() / ".pyenv" / "versions"
    return [Path(sys.base_prefix), *sorted(pyenv.glob(f"{version}.*"), reverse=True), Path("/usr/local")]


def interpreter(version: str) -> Path:
    """Return the prefix of an interpreter like 3.12, one that shares it with no other program."""
    for home in homes(version):
        parts = (home / "bin" / f"python{version}", home / "lib" / f"python{version}" / "os.py")
        # Debian's own has its modules in more places, and patches that keep pip out.
        if home != Path("/usr") and all(part.exists() for part in parts):
            return home
    raise Missing(
        f"no CPython {version} in a prefix of its own, looked in {', '.join(map(str, homes(version)))}: "
        f"`pyenv install {version}` brings one"
    )


def copy(version: str, folder: Path) -> None:
    """Copy an interpreter as official images have it: no tests, no packages, no symbols."""
    home = interpreter(version)
    library = f"lib/python{version}"
    for name in ("bin", "lib"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(home / "bin" / f"python{version}", folder / "bin")
    (folder / "bin/python3").symlink_to(f"python{version}")
    for shared in home.glob("lib/libpython3*.so*"):
        shutil.copy2(shared, folder / "lib", follow_symlinks=False)
    shutil.copytree(home / library, folder / library, ignore=shutil.ignore_patterns(*WASTE))
    (folder / library / "site-packages").mkdir()
    for file in (folder / library).glob("_sysconfigdata_*.py"):
        file.write_text(file.read_text().replace(str(home), "/usr/local"))
    if shutil.which("strip"):
        objects = [*folder.glob("lib/*.so.*"), *folder.glob(f"{library}/lib-dynload/*.so")]
        run("strip", "--strip-unneeded", *objects)
