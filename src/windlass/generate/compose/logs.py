"""What ships logs, as containers; with `elk` also where they go, where the project names no other place."""

from collections.abc import Iterator

from windlass.generate.compose.container import FORWARD, Mapping, confined, limits
from windlass.generate.compose.remote import Configured, configured
from windlass.generate.monitoring import shipping
from windlass.generate.text import Files
from windlass.release import Release

FLUENT_BIT = "fluent/fluent-bit:4.1.1"
# The same with a shell, which reads the credentials.
FLUENT_BIT_SHELL = f"{FLUENT_BIT}-debug"
FLUENTD = "fluent/fluentd:v1.18-debian-1"
FLUENTD_PLUGIN = "fluent-plugin-elasticsearch:5.4.3"
ELASTIC = "8.19.5"
_REGISTRY = "docker.elastic.co"
_PLACES = {
    "fluent-bit.yaml": "/fluent-bit/etc/fluent-bit.yaml",
    "fluent.conf": "/fluentd/etc/fluent.conf",
    "filebeat.yml": "/usr/share/filebeat/filebeat.yml",
}


def files(release: Release) -> Files:
    """Return the shipper's configuration."""
    return {f"logs/{path}": text for path, text in shipping.files(release).items()}


def services(release: Release) -> Iterator[tuple[str, Mapping]]:
    """Yield the services that carry logs, with their names."""
    logs = release.project.observability.logs
    if logs.ship == "fluent-bit":
        yield "fluent-bit", _fluent_bit(release)
    elif logs.ship == "fluentd":
        yield "fluentd", _fluentd(release)
    elif logs.ship == "elk":
        yield "filebeat", _filebeat(release)
        if logs.to is None:
            yield "elasticsearch", _elasticsearch(release)
            yield "kibana", _kibana(release)


def _fluent_bit(release: Release) -> Mapping:
    image = FLUENT_BIT_SHELL if _secrets(release) else FLUENT_BIT
    words = ["/fluent-bit/bin/fluent-bit", "-c", "/fluent-bit/etc/fluent-bit.yaml"]
    return _forwarding(release, _placed(release, "fluent-bit", image), words)


def _fluentd(release: Release) -> Mapping:
    name, _, version = FLUENTD_PLUGIN.partition(":")
    install = f"USER root\nRUN fluent-gem install {name} --version {version} --no-document\nUSER fluent\n"
    steps = install if shipping.address(release).port == 9200 else ""
    words = ["fluentd", "-c", "/fluentd/etc/fluent.conf"]
    return _forwarding(release, _placed(release, "fluentd", FLUENTD, steps), words)


def _forwarding(release: Release, known: Mapping, words: list[str]) -> Mapping:
    """Return what listens for Docker's lines on this machine, and passes them on."""
    return {
        **known,
        **_start(release, words),
        "restart": "unless-stopped",
        "#root": "Its volume belongs to root, which has no capability here.",
        **confined(release, user="0:0", secrets=_secrets(release)),
        **_granted(release),
        "ports": [f"{FORWARD}:24224"],
        "volumes": [*known.get("volumes", ()), {"type": "volume", "source": "logs", "target": "/buffer"}],
        "deploy": {"resources": {"limits": limits(release, memory=256 * 2**20)}},
        "networks": ["outside"],
        "logging": _own(release),
    }


def _filebeat(release: Release) -> Mapping:
    known = _placed(release, "filebeat", f"{_REGISTRY}/beats/filebeat:{ELASTIC}")
    logs = {"type": "bind", "source": "/var/lib/docker/containers", "target": "/var/lib/docker/containers"}
    words = ["filebeat", "-e", "--strict.perms=false", "--path.data=/buffer"]
    inside = release.project.observability.logs.to is None
    return {
        **known,
        **_start(release, words),
        "restart": "unless-stopped",
        "#root": "Docker's log files belong to root, which has no capability here.",
        **confined(release, user="0:0", secrets=_secrets(release)),
        **_granted(release),
        "volumes": [
            *known.get("volumes", ()),
            logs | {"read_only": True},
            {"type": "volume", "source": "logs", "target": "/buffer"},
        ],
        **({"depends_on": {"elasticsearch": {"condition": "service_healthy"}}} if inside else {}),
        "deploy": {"resources": {"limits": limits(release, memory=512 * 2**20)}},
        "networks": ["monitoring" if inside else "outside"],
        "logging": _own(release),
    }


def _elasticsearch(release: Release) -> Mapping:
    return {
        "image": f"{_REGISTRY}/elasticsearch/elasticsearch:{ELASTIC}",
        "restart": "unless-stopped",
        "#writes": "It writes its own configuration when it starts, and has a user that is not root.",
        "user": "1000:1000",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "environment": {
            "discovery.type": "single-node",
            "#security": "Only Filebeat and Kibana share a network with it, and no port of it is published.",
            "xpack.security.enabled": "false",
            "ES_JAVA_OPTS": "-Xms1g -Xmx1g",
        },
        "volumes": [{"type": "volume", "source": "elasticsearch", "target": "/usr/share/elasticsearch/data"}],
        "healthcheck": _asks("http://localhost:9200/_cluster/health?wait_for_status=yellow&timeout=4s"),
        "deploy": {"resources": {"limits": limits(release, memory=2 * 2**30) | {"pids": 4096}}},
        "networks": ["monitoring"],
        "logging": _own(release),
    }


def _kibana(release: Release) -> Mapping:
    return {
        "image": f"{_REGISTRY}/kibana/kibana:{ELASTIC}",
        "restart": "unless-stopped",
        "user": "1000:1000",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "environment": {"ELASTICSEARCH_HOSTS": "http://elasticsearch:9200", "TELEMETRY_ENABLED": "false"},
        "ports": ["127.0.0.1:5601:5601"],
        "healthcheck": _asks("http://localhost:5601/api/status"),
        "depends_on": {"elasticsearch": {"condition": "service_healthy"}},
        "deploy": {"resources": {"limits": limits(release, memory=2 * 2**30)}},
        "networks": ["monitoring", "outside"],
        "logging": _own(release),
    }


def _placed(release: Release, name: str, image: str, steps: str = "") -> Mapping:
    texts = files(release)
    places = {path: _PLACES[path.removeprefix("logs/")] for path in texts}
    return configured(release, Configured(name, image, places, steps), texts)


def _start(release: Release, words: list[str]) -> Mapping:
    """Return the command; credentials become variables on the way, and stand in no file."""
    names = _secrets(release)
    if not names:
        return {"entrypoint": words}
    read = f"IFS=: read -r LOGS_USER LOGS_PASSWORD </run/secrets/{names[0]} || true; export LOGS_USER LOGS_PASSWORD"
    return {"entrypoint": ["/bin/sh", "-euc", f'{read}; exec "$$@"', "sh"], "command": words}


def _secrets(release: Release) -> tuple[str, ...]:
    name = release.project.observability.logs.credentials
    return (name,) if name else ()


def _granted(release: Release) -> Mapping:
    names = _secrets(release)
    return {"secrets": list(names)} if names else {}


def _own(release: Release) -> Mapping:
    """Return where a shipper's own log goes: never through itself."""
    logs = release.project.observability.logs
    return {"driver": "json-file", "options": {"max-size": logs.max_size, "max-file": str(logs.max_files)}}


def _asks(url: str) -> Mapping:
    test = ["CMD", "curl", "-fsS", "-m", "8", "-o", "/dev/null", url]
    return {"test": test, "interval": "10s", "timeout": "10s", "retries": 6, "start_period": "120s"}
