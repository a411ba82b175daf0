"""Stand-ins for the images that Dockerfiles begin with, where no registry can be asked: the same layout and names."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools import debian, rootfs
from tools.engine import LABEL, Engine
from tools.interpreters import copy, interpreter
from tools.place import Failed, Missing, lock

RECIPES = Path(__file__).with_name("images")
BASE = "stand-in/debian"


def python(tag: str, context: Path) -> str:
    """Lay out an interpreter; returns the recipe."""
    version = tag.partition("-")[0]
    copy(version, context / "python")
    return (RECIPES / "python.dockerfile").read_text().replace("VERSION", version)


def nginx(tag: str, context: Path) -> str:
    """Lay out what the official image configures; returns the recipe."""
    shutil.copytree(RECIPES / "nginx", context / "nginx")
    return (RECIPES / "nginx.dockerfile").read_text()


def unprivileged(tag: str, context: Path) -> str:
    """Do so for the image that starts as a user: it listens on 8080 and keeps its files in /tmp."""
    shutil.copytree(RECIPES / "nginx-unprivileged", context / "nginx")
    return (RECIPES / "nginx.dockerfile").read_text() + "USER 101\nEXPOSE 8080\n"


def prometheus(tag: str, context: Path) -> str:
    """Lay out Prometheus; returns the recipe."""
    for name in ("prometheus", "promtool"):
        shutil.copy(debian.tree() / "usr/bin" / name, context)
    shutil.copy(RECIPES / "prometheus.yml", context)
    return (RECIPES / "prometheus.dockerfile").read_text()


def busybox(tag: str, context: Path) -> str:
    """Lay out busybox; returns the recipe."""
    shutil.copy(debian.tree() / "bin/busybox", context)
    return (RECIPES / "busybox.dockerfile").read_text()


def plain(tag: str, context: Path) -> str:
    """Return the recipe of Debian itself."""
    return f"FROM {BASE}\n"


FAMILIES: dict[str, Callable[[str, Path], str]] = {
    "busybox": busybox,
    "debian": plain,
    "nginx": nginx,
    "nginxinc/nginx-unprivileged": unprivileged,
    "prom/prometheus": prometheus,
    "python": python,
}


def provide(engine: Engine, name: str) -> str:
    """See to it that an image is there under the name that a Dockerfile asks for; returns the name."""
    repository, _, tag = name.removeprefix("docker.io/").removeprefix("library/").partition(":")
    family = FAMILIES.get(repository)
    if family is None:
        raise Missing(f"no stand-in for the image `{name}`: there are {', '.join(FAMILIES)}")
    base = f"{BASE}:latest={rootfs.key()}"
    key = hashlib.sha256(f"{base} {recipes()} {origin(repository, tag)}".encode()).hexdigest()
    mark = f"{repository}:{tag or 'latest'}={key}"
    with lock("images"):
        if label(engine, BASE) != base:
            engine.docker("import", "--change", f'LABEL {LABEL}="{base}"', rootfs.archive(), BASE)
        if label(engine, name) != mark:
            with tempfile.TemporaryDirectory() as context:
                (Path(context) / "Dockerfile").write_text(family(tag, Path(context)))
                engine.docker("build", "--quiet", f"--label={LABEL}={mark}", f"--tag={name}", context)
    return name


def origin(repository: str, tag: str) -> str:
    """Return what an image is made from beside its recipe."""
    return str(interpreter(tag.partition("-")[0])) if repository == "python" else ""


def recipes() -> str:
    """Return the digest of what stands beside this file."""
    texts = [file.read_bytes() for file in sorted(RECIPES.rglob("*")) if file.is_file()]
    return hashlib.sha256(b"".join([Path(__file__).read_bytes(), *texts])).hexdigest()


def label(engine: Engine, name: str) -> str:
    """Return what an image that is here was made from."""
    try:
        return engine.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', name).strip()
    except Failed:
        return ""
