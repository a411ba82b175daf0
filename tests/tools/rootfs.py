"""The tree that stand-in images begin with: a slim Debian that trusts whom this machine trusts."""

import hashlib
import os
import shutil
from pathlib import Path

from tools import debian
from tools.place import FOLDER, Failed, Missing, made, run

RELEASE = "bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
# What an interpreter in /usr/local is linked with, and what images of an interpreter have beside it.
INCLUDE = (
    "ca-certificates,netbase,tzdata,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,"
    "libuuid1,zlib1g"
)
WASTE = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "var/cache/debconf",
    "var/log",
]


def key() -> str:
    """Return what the tree is made from: this file, the certificates, and where packages come from."""
    parts = [Path(__file__).read_bytes(), CERTIFICATES.read_bytes(), debian.mirror().encode(), settings().encode()]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def settings() -> str:
    """Return what pip is told on this machine, for a pip.conf."""
    names = {"PIP_INDEX_URL": "index-url", "PIP_EXTRA_INDEX_URL": "extra-index-url", "PIP_TRUSTED_HOST": "trusted-host"}
    lines = [f"{setting} = {os.environ[name]}" for name, setting in names.items() if name in os.environ]
    return "\n".join(["[global]", f"cert = {CERTIFICATES}", *lines, ""])


def fill(folder: Path) -> None:
    """Make the tree, and keep it as an archive."""
    for needed in ("wget", "gpgv", "mount"):
        if not shutil.which(needed):
            raise Missing(f"no `{needed}`: `apt install {needed}`, stand-in images are made with it")
    tree = folder / "tree"
    scripts = debian.tree() / "usr/share/debootstrap"
    command = [debian.tree() / "usr/sbin/debootstrap", "--variant=minbase", f"--include={INCLUDE}", RELEASE, tree]
    run(*command, debian.mirror(), env={**os.environ, "DEBOOTSTRAP_DIR": str(scripts)})
    for path in WASTE:
        shutil.rmtree(tree / path, ignore_errors=True)
        (tree / path).mkdir()
    for path in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (tree / path).mkdir(parents=True)
    trust(tree)
    run("tar", "--create", "--numeric-owner", "--xattrs", f"--directory={tree}", f"--file={folder / 'root.tar'}", ".")
    shutil.rmtree(tree)


def trust(tree: Path) -> None:
    """Trust in the tree whom this machine trusts, and go where its pip and apt go."""
    shutil.copy(CERTIFICATES, tree / CERTIFICATES.relative_to("/"))
    for certificate in OWN_CERTIFICATES.glob("*.crt"):
        shutil.copy(certificate, tree / OWN_CERTIFICATES.relative_to("/"))
    (tree / "etc/pip.conf").write_text(settings())
    proxy = run("apt-config", "dump", "--format", '%F "%v";%n', "Acquire::http::Proxy", "Acquire::https::Proxy")
    (tree / "etc/apt/apt.conf.d/90proxy").write_text(proxy)


def archive() -> Path:
    """Return the archive of the tree."""
    found = FOLDER / "rootfs" / "root.tar"
    if not found.exists():
        raise Missing(f"no {found}: `make tools` makes it")
    return found


def install() -> None:
    """Make the tree unless it is there."""
    try:
        made("rootfs", key(), fill)
    except Failed as error:
        raise Missing(f"no stand-in images: {error}") from error
