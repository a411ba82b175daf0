"""A Kubernetes cluster to apply things to: the real API server, controllers and scheduler, and a played node."""

import contextlib
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tools import golang
from tools.node import Node
from tools.place import Missing, environment, program, run

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{url}", insecure-skip-tls-verify: true}}}}]
users: [{{name: test, user: {{token: {token}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
current-context: test
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers."""

    folder: Path
    url: str
    token: str
    node: Node

    @property
    def kubeconfig(self) -> Path:
        """The file that says how to reach it."""
        return self.folder / "kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs in its environment to talk to this cluster."""
        return environment(KUBECONFIG=str(self.kubeconfig))

    def kubectl(self, *arguments: str | Path, limit_s: int = 60) -> str:
        """Run kubectl; returns what it wrote."""
        return run(program("kubectl"), *arguments, env=self.environment, limit_s=limit_s)

    def extend(self) -> None:
        """Define what Gateway API, Istio and Prometheus' operator define."""
        self.kubectl("apply", "--server-side", "--filename", golang.definitions())
        self.kubectl("wait", "--for=condition=Established", "crd", "--all")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start a cluster that keeps what it has in a folder; it is gone in the end."""
    token = secrets.token_hex(16)
    store, peers, api = free_port(), free_port(), free_port()
    url = f"https://127.0.0.1:{api}"
    (folder / "kubeconfig").write_text(KUBECONFIG.format(url=url, token=token))
    (folder / "tokens").write_text(f"{token},test,test,system:masters\n")
    (folder / "key").write_bytes(private_key())
    with contextlib.ExitStack() as stack:
        asking = {"Authorization": f"Bearer {token}"}
        client = stack.enter_context(httpx.Client(base_url=url, headers=asking, verify=False))
        node = stack.enter_context(contextlib.closing(Node(client)))
        for command in commands(folder, store, peers, api):
            stack.enter_context(process(folder, *command))
            if command[0] == "kube-apiserver":
                until_ready(client, folder)
        node.start()
        cluster = Cluster(folder, url, token, node)
        yield cluster


def commands(folder: Path, store: int, peers: int, api: int) -> list[list[str]]:
    """Return what a control plane consists of, in the order of its start."""
    etcd = f"http://127.0.0.1:{store}"
    key = str(folder / "key")
    joined = [f"--kubeconfig={folder / 'kubeconfig'}", "--leader-elect=false", "--secure-port=0"]
    return [
        [
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            "--unsafe-no-fsync",
        ],
        [
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--cert-dir={folder / 'certificates'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={api}",
            f"--token-auth-file={folder / 'tokens'}",
            "--authorization-mode=RBAC",
            # As clusters usually are: policies of namespaces decide who may be privileged.
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://cluster.local",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
        ],
        [
            "kube-controller-manager",
            *joined,
            f"--service-account-private-key-file={key}",
            # The played node sends no heartbeat.
            "--controllers=*,-node-lifecycle-controller",
        ],
        ["kube-scheduler", *joined],
    ]


@contextlib.contextmanager
def process(folder: Path, name: str, *arguments: str) -> Iterator[None]:
    """Run a part of the control plane."""
    with (folder / f"{name}.log").open("w") as log:
        running = subprocess.Popen([program(name), *arguments], stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        running.kill()
        running.wait()


def until_ready(client: httpx.Client, folder: Path) -> None:
    """Wait until the API server says that it is ready."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").text == "ok":
                return
        time.sleep(0.1)
    raise Missing(f"no API server starts here: {(folder / 'kube-apiserver.log').read_text()[-1500:]}")


def private_key() -> bytes:
    """Return a key to sign the tokens of service accounts with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
