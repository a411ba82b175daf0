"""The servers that are measured, each in an environment of its own under ``.peers/``, built when first asked for."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"
SERVERS = Path(__file__).resolve().parent / "servers"

REQUIREMENTS = {
    "triton": ["nvidia-pytriton==0.7.0"],
    "mosec": ["mosec==0.9.8", "numpy"],
    "fastapi": ["fastapi", "gunicorn", "uvicorn-worker", "uvicorn[standard]", "numpy"],
    "litserve": ["litserve==0.2.19", "numpy"],
    "mlserver": ["mlserver==1.7.1"],
    "bentoml": ["bentoml==1.4.39"],
    "ray": ["ray[serve]==2.60.0"],
    "bare": ["uvloop", "httptools", "orjson"],
}

# Where peers with paths of their own take the tiny request.
PATHS = {"mosec": "/inference", "litserve": "/predict", "bentoml": "/predict"}


@dataclass(frozen=True)
class Running:
    """A server that answers: its ports, its first process, and where REST requests for the tiny model go."""

    pid: int
    http: int
    grpc: int
    path: str


def environment(name: str) -> Path:
    """Return the folder of a peer's environment; builds it when it is not there."""
    folder = PEERS / name
    mark = folder / ".ready"
    if not mark.exists():
        print(f"building the environment of {name}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin/python"), "-m", "pip", "install", "-q", *REQUIREMENTS[name]], check=True)
        mark.touch()
    return folder


def triton_command(
    repository: Path, http: int, grpc: int, metrics: int, *options: str
) -> tuple[list[str], dict[str, str]]:
    """Return how the real Triton is started: NVIDIA's binary from the package index, with its Python backend."""
    site = next((environment("triton") / "lib").glob("python3*")) / "site-packages"
    server = site / "pytriton" / "tritonserver"
    backends = PEERS / "triton" / "backends"
    python = backends / "python"
    if not python.exists():
        shutil.copytree(server / "backends" / "python", python)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", python)
        # Its interpreter looks for modules beside the backend, and nowhere in our environment.
        for package in ("numpy", "numpy.libs"):
            (python / package).symlink_to(site / package)
    libraries = [str(site / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR"), "/usr/lib/x86_64-linux-gnu"]
    command = [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--cache-directory={server / 'caches'}",
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        "--metrics-address=127.0.0.1",
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        "--log-info=false",
        *options,
    ]
    # Through an activated environment its interpreter would find that one's numpy, which its backend cannot read.
    path = f"{sys.base_prefix}/bin:/usr/bin:/bin"
    return command, {"LD_LIBRARY_PATH": ":".join(libraries), "PYTHONHOME": sys.base_prefix, "PATH": path}


def windlass_command(
    repository: Path, http: int, grpc: int, metrics: int, *options: str
) -> tuple[list[str], dict[str, str]]:
    """Return how windlass is started."""
    ports = [f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"]
    return [str(Path(sys.executable).with_name("windlass")), "serve", str(repository), *ports, *options], {}


def command_of(peer: str, repository: Path, http: int, grpc: int) -> tuple[list[str], dict[str, str], str]:
    """Return command, environment and path of a peer's tiny model."""
    path, port = "/v2/models/tiny/infer", str(http)
    if peer == "triton":
        return *triton_command(repository, http, grpc, http + 2), path
    if peer.startswith("windlass"):
        options = [] if peer == "windlass" else ["--backend-config=python,isolated=false"]
        path = "/v2/models/function/infer" if peer == "windlass-function" else path
        return *windlass_command(repository, http, grpc, http + 2, *options), path
    if peer == "nginx":
        return ["nginx", "-c", _nginx_configuration(http)], {}, path
    if peer not in REQUIREMENTS:
        raise SystemExit(
            f"error: unknown peer `{peer}`\nhint: one of {', '.join([*REQUIREMENTS, 'windlass', 'nginx'])}"
        )
    programs = environment(peer) / "bin"
    script = [str(programs / "python"), str(SERVERS / f"{peer}_tiny.py")]
    if peer == "fastapi":
        worker = ["-k", "uvicorn_worker.UvicornWorker", "-w", "5", "-b", f"127.0.0.1:{port}"]
        script = [str(programs / "gunicorn"), *worker, "--chdir", str(SERVERS), "fastapi_tiny:app"]
    elif peer == "bentoml":
        options = ["--host", "127.0.0.1", "--port", port, "--working-dir", str(SERVERS)]
        script = [str(programs / "bentoml"), "serve", "bentoml_tiny:Tiny", *options]
    elif peer == "mosec":
        script += ["--port", port, "--address", "127.0.0.1"]
    else:
        script.append(port)
    return script, {"BENTOML_DO_NOT_TRACK": "1"}, PATHS.get(peer, path)


def _nginx_configuration(port: int) -> str:
    file = PEERS / "nginx.conf"
    file.write_text(
        f"worker_processes 1; daemon off; pid {PEERS}/nginx.pid; error_log stderr crit;\n"
        "events { worker_connections 512; }\n"
        "http { access_log off; keepalive_requests 100000000; server { "
        f"listen 127.0.0.1:{port}; location / {{ return 200 'constant'; }} }} }}\n"
    )
    return str(file)


@contextlib.contextmanager
def running(peer: str, repository: Path, *options: str) -> Iterator[Running]:
    """Start a peer on free ports, wait until it answers, stop it in the end."""
    http = free_ports(3)
    grpc = http + 1
    command, extra, path = command_of(peer, repository, http, grpc)
    command += options
    log = PEERS / f"{peer}.log"
    with log.open("w") as sink:
        process = subprocess.Popen(
            command, env={**os.environ, **extra}, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        wait(peer, process, f"http://127.0.0.1:{http}/v2/health/ready", log)
        yield Running(process.pid, http, grpc, path)
    finally:
        end(process)


def free_ports(count: int) -> int:
    """Return the first of so many free ports in a row. One that was just let go may still have a server behind it."""
    while True:
        first = random.randrange(20_000, 30_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a server and all it started."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, 15)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    # What is left of its group when it is gone, workers that hang or linger, goes with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def wait(peer: str, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """A peer without that path answers 404 or 405, which shows as well that it is up."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 405):
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"error: {peer} did not start; the end of {log}:\n{log.read_text()[-2000:]}")


def perf_analyzer() -> tuple[Path, dict[str, str]]:
    """Return Triton's own load generator, from the last client package that carries it, and its libraries."""
    folder = PEERS / "perf"
    binary = folder / "perf_analyzer"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "tritonclient==2.46.0"]
        subprocess.run(pip, check=True)
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            binary.write_bytes(archive.read("tritonclient-2.46.0.data/data/bin/perf_analyzer"))
        binary.chmod(0o755)
        libraries = next((environment("triton") / "lib").glob("python3*")) / "site-packages" / "nvidia_pytriton.libs"
        for short, pattern in (("libb64.so.0d", "libb64-*"), ("libcudart.so.12", "libcudart-*")):
            shutil.copy(next(libraries.glob(pattern)), folder / short)
    libs = next((environment("triton") / "lib").glob("python3*")) / "site-packages" / "nvidia_pytriton.libs"
    return binary, {"LD_LIBRARY_PATH": f"{folder}:{libs}"}
