"""Packages of Debian, unpacked into a folder: nothing is installed system-wide, and apt's own state stays as it is."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tools.place import Missing, link, made, program, run

# Programs of the next release that are content with this one's C library, and what runs them, from this release.
PACKAGES = [
    "containerd/trixie",
    "docker-buildx/trixie",
    "docker-cli/trixie",
    "docker-compose/trixie",
    "docker.io/trixie",
    "kubectl/trixie",
    "kustomize/trixie",
    "prometheus/trixie",
    "promtool/trixie",
    "prometheus-alertmanager/trixie",
    "etcd-server/trixie",
    "tini/trixie",
    "busybox-static/bookworm",
    "debootstrap/bookworm",
    "docker-registry/bookworm",
    "iptables/bookworm",
    "nginx/bookworm",
    "nginx-common/bookworm",
    "rclone/bookworm",
    "runc/bookworm",
    "libip4tc2/bookworm",
    "libip6tc2/bookworm",
    "libmnl0/bookworm",
    "libnetfilter-conntrack3/bookworm",
    "libnfnetlink0/bookworm",
    "libnftnl11/bookworm",
    "libxtables12/bookworm",
]

PROGRAMS = [
    "bin/busybox",
    "usr/bin/amtool",
    "usr/bin/containerd",
    "usr/bin/containerd-shim-runc-v2",
    "usr/bin/docker",
    "usr/bin/docker-registry",
    "usr/bin/etcd",
    "usr/bin/kubectl",
    "usr/bin/kustomize",
    "usr/bin/prometheus",
    "usr/bin/prometheus-alertmanager",
    "usr/bin/promtool",
    "usr/bin/rclone",
    "usr/sbin/docker-proxy",
    "usr/sbin/dockerd",
    "usr/sbin/nginx",
    "usr/sbin/runc",
]

# They are one program with many names, and look for their libraries where a system has them.
TABLES = [f"{family}{verb}" for family in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")]

RELEASES = ("bookworm", "trixie")


def mirror() -> str:
    """Return where this machine gets Debian from, as its apt is configured."""
    lines = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages").splitlines()
    for line in lines:
        uri, _, release = line.partition(" ")
        if release in ("bookworm", "trixie", "stable"):
            return uri.rstrip("/")
    raise Missing(f"apt knows no mirror of Debian bookworm or trixie: it has {lines or 'no package lists'}")


def sources(releases: Sequence[str]) -> str:
    """Return the lines of a sources.list with the releases the packages come from."""
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    return "".join(f"deb [signed-by={keys}] {mirror()} {release} main\n" for release in releases)


def apt(folder: Path, releases: Sequence[str]) -> Path:
    """Give apt a configuration of its own, with its own lists; returns it."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources.list").write_text(sources(releases))
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "5",
        "APT::Sandbox::User": "root",
    }
    configuration = folder / "apt.conf"
    lines = [f'{name} "{value}";\n' for name, value in settings.items()]
    configuration.write_text("".join([*lines, "#clear APT::Update::Post-Invoke-Success;\n"]))
    return configuration


def unpack(folder: Path, names: Sequence[str] = PACKAGES, releases: Sequence[str] = RELEASES) -> None:
    """Download the packages and lay their files out in one tree."""
    scratch = folder / "apt"
    scratch.mkdir()
    env = {"APT_CONFIG": str(apt(scratch, releases)), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    run("apt-get", "update", "--quiet", env=env)
    packages = folder / "packages"
    packages.mkdir()
    run("apt-get", "download", "--quiet", *names, env=env, cwd=packages)
    for package in packages.glob("*.deb"):
        run("dpkg", "-x", package, folder / "tree")
    for waste in (scratch, packages, folder / "tree/usr/share/doc", folder / "tree/usr/share/man"):
        shutil.rmtree(waste, ignore_errors=True)


def install() -> None:
    """Unpack the packages, and give their programs their names."""
    for needed in ("apt-get", "dpkg"):
        if not shutil.which(needed):
            raise Missing(f"no `{needed}`: the packages come from Debian")
    tree = made("debian", " ".join([*PACKAGES, "1"]), unpack) / "tree"
    link([tree / path for path in PROGRAMS])
    # The package's own link leads to where it would be installed.
    link([tree / "usr/bin/tini-static"], "docker-init")
    link([tables(tree, name) for name in TABLES])


def tables(tree: Path, name: str) -> Path:
    """Write how one of iptables' programs starts where its libraries are not the system's; returns it."""
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    script = tree / name
    script.write_text(
        f"#!/bin/sh\nexport LD_LIBRARY_PATH={libraries} XTABLES_LIBDIR={libraries}/xtables\n"
        f'exec {tree}/usr/sbin/xtables-nft-multi {name} "$@"\n'
    )
    script.chmod(0o755)
    return script


def tree() -> Path:
    """Return the folder of the files that the packages brought."""
    return program("dockerd").resolve().parents[2]
