"""The engine does what images and compose projects of a model server ask of one."""

import uuid

import httpx
import pytest

from tools.place import Failed

DOCKERFILE = """
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN --mount=type=cache,target=/root/.cache/pip pip wheel --wheel-dir /wheels six==1.17.0
RUN <<END
set -eu
echo "print('built')" > /build/app.py
END

FROM python:3.11-slim-bookworm
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels pip install --no-index --find-links /wheels six
COPY --link --from=build /build/app.py /app/app.py
USER 10001
HEALTHCHECK --interval=1s --timeout=5s CMD ["python", "-c", "import six"]
CMD ["python", "-c", "import signal; signal.sigwait({signal.SIGTERM})"]
"""

COMPOSE = """
services:
  first:
    image: python:3.11-slim-bookworm
    command: [python, -m, http.server, "8000", --directory, /srv]
    read_only: true
    user: "10001"
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    volumes: ["./first:/srv:ro"]
    healthcheck: &health
      test: [CMD, python, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8000')"]
      interval: 1s
    mem_limit: 256m
  second:
    image: python:3.11-slim-bookworm
    command: [python, -m, http.server, "8000", --directory, /srv]
    volumes: ["./second:/srv:ro"]
    healthcheck: *health
  gateway:
    image: nginx:1.27-bookworm
    depends_on:
      first: {condition: service_healthy}
      second: {condition: service_healthy}
    volumes: ["./gateway.conf:/etc/nginx/conf.d/default.conf:ro"]
    ports: ["127.0.0.1::80"]
    healthcheck:
      test: [CMD, curl, --fail, "http://127.0.0.1/first/"]
      interval: 1s
"""

GATEWAY = """
server {
    listen 80;
    location /first/ { proxy_pass http://first:8000/; }
    location /second/ { proxy_pass http://second:8000/; }
}
"""


READY = "http://127.0.0.1:8000/v2/models/echo/ready"


@pytest.fixture
def name() -> str:
    return f"windlass-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def python(image) -> str:
    return image("python:3.11-slim-bookworm")


def test_an_image_of_two_stages_is_built_and_runs_hardened(engine, python, name, tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)

    engine.docker("build", "--tag", name, tmp_path)
    hardened = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=128m", "--pids-limit=50"]
    engine.docker("run", "--detach", "--name", name, *hardened, name)

    assert engine.health(name) == "healthy"
    assert engine.docker("exec", name, "python", "/app/app.py") == "built\n"
    assert engine.docker("exec", name, "id", "-u") == "10001\n"
    with pytest.raises(Failed, match="Read-only file system"):
        engine.docker("exec", "--user=0", name, "touch", "/app/more")


def test_a_container_that_takes_too_much_memory_is_ended(engine, python):
    with pytest.raises(Failed, match="ended with 137"):
        engine.docker("run", "--rm", "--memory=32m", python, "python", "-c", "b'x' * 10**9")


def test_a_compose_project_comes_up_behind_nginx(engine, python, image, name, tmp_path):
    image("nginx:1.27-bookworm")
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "gateway.conf").write_text(GATEWAY)
    for service in ("first", "second"):
        (tmp_path / service).mkdir()
        (tmp_path / service / "index.html").write_text(service)
    project = ["compose", "--project-name", name, "--project-directory", tmp_path]

    engine.docker(*project, "up", "--detach", "--wait", "--wait-timeout=60")
    address = engine.docker(*project, "port", "gateway", "80").strip()

    assert [httpx.get(f"http://{address}/{service}/").text for service in ("first", "second")] == ["first", "second"]
    engine.docker(*project, "down", "--volumes", "--timeout=2")


def test_pip_and_apt_reach_their_indexes_inside_a_build(engine, image, tmp_path):
    image("python:3.12-slim")
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.12-slim\nRUN apt-get update && apt-get install -y --no-install-recommends tini\n"
        "RUN pip install --no-cache-dir numpy && python -c 'import numpy, ssl, sqlite3, ctypes, lzma'\n"
    )

    engine.docker("build", "--no-cache", "--quiet", tmp_path)


def test_the_wheel_installs_in_an_image_and_serves(engine, image, wheel, name, repository, tmp_path):
    image("python:3.12-slim")
    repository.add_identity("echo")
    (tmp_path / wheel.name).write_bytes(wheel.read_bytes())
    (tmp_path / "Dockerfile").write_text(
        f"FROM python:3.12-slim\nCOPY {wheel.name} /\nRUN pip install --no-cache-dir /{wheel.name}\n"
        f"""HEALTHCHECK --interval=1s CMD ["python", "-c", "import urllib.request as r; r.urlopen('{READY}')"]\n"""
    )

    engine.docker("build", "--quiet", "--tag", name, tmp_path)
    volume = f"--volume={repository.path}:/models:ro"
    engine.docker("run", "--detach", "--name", name, volume, name, "windlass", "serve", "/models")

    assert engine.health(name) == "healthy", engine.docker("logs", name)
