"""The image to work on models in: the packages of all services, Jupyter Lab, and a way in for editors.

One process for each container: the same image runs Jupyter Lab, and with other words the SSH server.
"""

from windlass.generate.images.server import values
from windlass.generate.text import template
from windlass.release import DEVELOPMENT, Release

JUPYTER_PORT = 8888
SSH_PORT = 2222
AUTHORIZED_KEYS = "/etc/windlass/authorized_keys"
# Where a secret of the target lies in the container.
_SECRETS = "/run/secrets"

JUPYTER = ["jupyter", "lab", "--config=/etc/windlass/jupyter.py"]
# The host key is made once, and kept in the cache: no image has one. The server runs as the user that may log in.
SSH = [
    "/bin/sh",
    "-euc",
    "mkdir -p -m 0700 /cache/ssh; [ -f /cache/ssh/host ] || ssh-keygen -q -t ed25519 -N '' -f /cache/ssh/host; "
    "exec /usr/sbin/sshd -D -e -f /etc/windlass/sshd.conf",
]
# Answered without a token: it tells the version of the server.
_ASK = "from http.client import HTTPConnection as To; c = To('127.0.0.1', 8888, timeout=4); "
READY = ["python", "-I", "-S", "-c", _ASK + "c.request('GET', '/api'); raise SystemExit(c.getresponse().status != 200)"]


def dockerfile(release: Release) -> str:
    """Return the Dockerfile of the development image."""
    wanted = release.project.development
    if wanted is None:
        raise ValueError("this is a bug in windlass: a development image is written for a project without one")
    known = values(release, DEVELOPMENT)
    known |= {
        "development": wanted,
        "packages": sorted({*known["packages"], *(["openssh-server"] if wanted.ssh else [])}),
        # What editors install for themselves is kept.
        "environment": {**known["environment"], "HOME": "/cache"},
        "token_file": f"{_SECRETS}/{wanted.token}" if wanted.token else None,
        "authorized_keys": AUTHORIZED_KEYS,
        "ready": READY,
        "start": JUPYTER if wanted.jupyter else SSH,
    }
    return template("images/server.j2", **known)
