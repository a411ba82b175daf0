"""Which containers still see a secret as it was: Compose starts a container anew for everything else that changes."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from windlass.errors import TargetError
from windlass.generate.compose import secret_readers
from windlass.generate.compose.remote import remote
from windlass.release import Release
from windlass.targets.docker import containers
from windlass.targets.docker.containers import Told
from windlass.targets.docker.engine import Docker
from windlass.targets.secrets import secret

_LOOK = "sha256sum /run/secrets/* 2>/dev/null || true"


def outdated(docker: Docker, found: Iterable[Told], release: Release, folder: Path) -> list[str]:
    """Return the services of running containers that see another secret than there is now.

    Digests are compared, inside the container and here; nothing of them is kept or shown.
    """
    wanted = {name: _digest(release, name, folder) for name, _ in secret_readers(release)}
    running = [one for one in found if one["State"]["Running"] and not containers.finished(one)] if wanted else []
    stale = (one for one in running if _sees_other(docker, one, wanted))
    return sorted({one["Config"]["Labels"]["com.docker.compose.service"] for one in stale})


def _digest(release: Release, name: str, folder: Path) -> str:
    file = release.project.secrets[name].file
    mounted = file is not None and not remote(release)
    content = (folder / file).read_bytes() if file and mounted else secret(release.project, name, folder).encode()
    return hashlib.sha256(content).hexdigest()


def _sees_other(docker: Docker, told: Told, wanted: Mapping[str, str]) -> bool:
    try:
        lines = docker.run("exec", told["Id"], "sh", "-c", _LOOK).splitlines()
    except TargetError:  # it has no shell, or it ended meanwhile
        return False
    seen = {Path(path).name: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
    return any(wanted.get(name, digest) != digest for name, digest in seen.items())
