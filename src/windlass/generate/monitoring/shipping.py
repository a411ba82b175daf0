"""Shippers of logs: Fluent Bit, Fluentd, or Filebeat. Credentials reach them as variables, at their start."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

from windlass.generate.text import Files, template, yaml_text
from windlass.release import Release

# Elasticsearch's own port; what listens on another one over HTTP takes lines of JSON.
_ELASTIC = 9200
_HERE = "http://elasticsearch:9200"


def files(release: Release) -> Files:
    """Return the configuration of what ships logs; nothing where the container runtime keeps them."""
    logs = release.project.observability.logs
    if logs.ship == "fluent-bit":
        return {"fluent-bit.yaml": _fluent_bit(release)}
    if logs.ship == "fluentd":
        return {"fluent.conf": template("fluent.conf.j2", release=release, **_where(release))}
    return {"filebeat.yml": _filebeat(release)} if logs.ship == "elk" else {}


def address(release: Release) -> SplitResult:
    """Return where lines go: what the project says, or the Elasticsearch that runs beside it."""
    return urlsplit(release.project.observability.logs.to or _HERE)


def _where(release: Release) -> dict[str, Any]:
    to = address(release)
    kind = "forward" if to.scheme in ("forward", "tcp") else "elastic" if _port(to) == _ELASTIC else "http"
    login = release.project.observability.logs.credentials is not None
    return {"to": to, "port": _port(to), "kind": kind, "login": login, "tls": to.scheme == "https"}


def _port(to: SplitResult) -> int:
    return to.port or {"https": 443, "http": 80}.get(to.scheme, 24224)


def _fluent_bit(release: Release) -> str:
    where = _where(release)
    output: dict[str, Any] = {"name": {"elastic": "es", "http": "http", "forward": "forward"}[where["kind"]]}
    output |= {"match": "*", "host": where["to"].hostname, "port": where["port"], "retry_limit": 10}
    if where["kind"] == "elastic":
        output |= {"logstash_format": True, "logstash_prefix": release.project.name, "suppress_type_name": True}
    if where["kind"] == "http":
        output |= {"uri": where["to"].path or "/", "format": "json_lines", "json_date_format": "iso8601"}
    if where["tls"]:
        output |= {"tls": True, "tls.verify": True}
    if where["login"]:
        output |= {"http_user": "${LOGS_USER}", "http_passwd": "${LOGS_PASSWORD}"}
    head = f"Carries the log of project `{release.project.name}`. Written by windlass {release.version}."
    configuration = {
        "#buffer": "What cannot be delivered yet waits on a volume, up to a limit.",
        "service": {"flush": 1, "storage.path": "/buffer", "storage.max_chunks_up": 64, "http_server": False},
        "parsers": [{"name": "json", "format": "json"}],
        "pipeline": {
            "inputs": [{"name": "forward", "listen": "0.0.0.0", "port": 24224, "storage.type": "filesystem"}],
            "filters": [
                {
                    "#json": "Servers and gateway write JSON; lines that are none stay as they are.",
                    "name": "parser",
                    "match": "*",
                    "key_name": "log",
                    "parser": "json",
                    "reserve_data": True,
                }
            ],
            "outputs": [output | {"storage.total_limit_size": "512M"}],
        },
    }
    return yaml_text(configuration, comment=head)


def _filebeat(release: Release) -> str:
    where = _where(release)
    name = release.project.name
    output: dict[str, Any] = {"hosts": [f"{where['to'].scheme}://{where['to'].hostname}:{where['port']}"]}
    if where["login"]:
        output |= {"username": "${LOGS_USER}", "password": "${LOGS_PASSWORD}"}
    configuration = {
        "filebeat.inputs": [
            {
                "type": "filestream",
                "id": "containers",
                "paths": ["/var/lib/docker/containers/*/*-json.log"],
                "parsers": [{"ndjson": {"target": "docker", "overwrite_keys": True}}],
            }
        ],
        "processors": [
            {
                "#project": "Containers of others are not ours to ship: Docker writes the tag of ours with every line.",
                "drop_event": {"when": {"not": {"regexp": {"docker.attrs.tag": f"^{name}\\."}}}},
            },
            {"timestamp": {"field": "docker.time", "layouts": ["2006-01-02T15:04:05.999999999Z07:00"]}},
            {"decode_json_fields": {"fields": ["docker.log"], "target": "windlass", "max_depth": 2}},
        ],
        "output.elasticsearch": output,
        "logging.to_stderr": True,
    }
    return yaml_text(
        configuration, comment=f"Carries the log of project `{name}`. Written by windlass {release.version}."
    )
