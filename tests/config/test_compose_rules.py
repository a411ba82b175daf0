"""What a project file may not ask of one machine with Docker Compose."""

import pytest

from windlass.config.project import Source


@pytest.fixture
def faults(tmp_path):
    def told(text: str) -> dict[str, str]:
        file = tmp_path / "windlass.yaml"
        file.write_text(f"name: tried\n{text}\ntargets: {{here: {{kind: compose}}}}\n")
        return {one.where.partition(": ")[2]: one.message for one in Source.read(file).project()[1]}

    return told


@pytest.mark.parametrize(
    "text, place, message",
    [
        ("services: {gateway: {}}", "services.gateway", "a container named `gateway` runs beside the services"),
        (
            "gateway: {auth: {keys: mine}}\nsecrets: {mine: {existing: {name: a, key: b}}}",
            "gateway.auth.keys",
            "target `here` reads secrets from files and the environment, and `mine` is in neither",
        ),
        (
            "gateway: {port: 9090}\nobservability: {prometheus: {}}",
            "observability.prometheus.port",
            "port 9090 is `gateway.port` already",
        ),
        (
            "observability: {grafana: {}}",
            "observability.grafana",
            "there are no figures without Prometheus on this target",
        ),
        (
            "observability: {logs: {ship: fluentd}}",
            "observability.logs.to",
            "`fluentd` carries lines to somebody, and nobody is named",
        ),
        (
            "services: {a: {tenant: x, cpus: 2, replicas: 2}}\ntenants: {x: {quota: {cpus: 3}}}",
            "tenants.x.quota.cpus",
            "the services of tenant `x` may use 4 together, its quota is 3",
        ),
        (
            "services: {a: {tenant: x}}\ntenants: {x: {quota: {memory: 4GiB}}}",
            "services.a",
            "tenant `x` has a quota of `memory`, and this service no limit",
        ),
    ],
)
def test_what_a_machine_cannot_do_is_told(faults, text, place, message):
    assert faults(text) == {place: message}


def test_what_a_machine_can_do_is_not(faults):
    text = "gateway: {}\nobservability: {prometheus: {}, grafana: {}, alerts: {}}\nservices: {vision: {}}"

    assert faults(text) == {}
