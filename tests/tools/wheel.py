"""The package of this project as its users get it: compiled once for each state of the Rust sources.

Python sources change more often; they are put into the compiled package as they are now.
"""

import base64
import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tools.place import FOLDER, ROOT, Missing, lock, made, run

FILES = ("pyproject.toml", "README.md", "LICENSE", "rust/Cargo.toml", "rust/Cargo.lock")
PACKAGE = ROOT / "src" / "windlass"


def compiled_from() -> Iterator[Path]:
    """Go through the files that the compiled part depends on."""
    for name in FILES:
        yield ROOT / name
    for folder in ("rust/core", "rust/gpu", "rust/load", "rust/python", "proto"):
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())


def python_sources() -> dict[str, bytes]:
    """Return the Python half: names in the package, and texts."""
    paths = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".so")
    return {
        str(path.relative_to(PACKAGE.parent)): path.read_bytes()
        for path in sorted(paths)
        if "__pycache__" not in path.parts
    }


def digest(texts: dict[str, bytes]) -> str:
    """Return what tells one state of the sources from another."""
    total = hashlib.sha256(sys.version.encode())
    for name, text in texts.items():
        total.update(name.encode() + hashlib.sha256(text).digest())
    return total.hexdigest()[:16]


def build(folder: Path) -> None:
    """Build the wheel, with the profile that users get."""
    maturin = shutil.which("maturin") or str(Path(sys.executable).with_name("maturin"))
    if not Path(maturin).exists():
        raise Missing(f"no `maturin` beside {sys.executable}: `make .venv/.python` installs it")
    env = {**os.environ, "PYO3_PYTHON": sys.executable}
    run(maturin, "build", "--release", "--quiet", "--compatibility", "linux", "--out", folder, cwd=ROOT, env=env)


def renew(built: Path, texts: dict[str, bytes], target: Path) -> None:
    """Write a wheel again, with other Python sources in it."""
    with zipfile.ZipFile(built) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        record = next(name for name in old.namelist() if name.endswith(".dist-info/RECORD"))
        kept = [name for name in old.namelist() if name != record]
        kept = [name for name in kept if not name.startswith("windlass/") or name.endswith(".so")]
        lines = []
        for name, text in [*((name, old.read(name)) for name in kept), *texts.items()]:
            new.writestr(name, text)
            check = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={check},{len(text)}\n")
        new.writestr(record, "".join([*lines, f"{record},,\n"]))


def wheel() -> Path:
    """Return the wheel of the sources as they are."""
    key = digest({str(path.relative_to(ROOT)): path.read_bytes() for path in compiled_from()})
    built = next(made(f"wheel/{key}", "1", build).glob("*.whl"))
    texts = python_sources()
    target = FOLDER / "wheel" / key / digest(texts) / built.name
    with lock("wheel"):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            renew(built, texts, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)
    return target
