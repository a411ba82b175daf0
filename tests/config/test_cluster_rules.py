"""What a project wants and a cluster cannot give is told before anything is written."""

import pytest

from windlass.config.project import Source

HEAD = """\
name: a
repository: s3://bucket/models
services: {one: {SERVICE}}
gateway: {host: a.example.com, GATEWAY}
secrets:
  keys: {file: keys}
  cert: {file: cert}
  key: {environment: KEY}
  stored: {external: {store: vault, key: cert}}
  mounted: {csi: {provider: vault, object: cert, parameters: {}}}
  one: {existing: {name: one, key: tls.crt}}
  two: {existing: {name: two, key: tls.key}}
targets: {prod: {kind: kubernetes, TARGET}}
"""


def faults(tmp_path, service="", gateway="port: 80", target="layout: plain", also=""):
    text = HEAD.replace("SERVICE", service).replace("GATEWAY", gateway).replace("TARGET", target)
    (tmp_path / "windlass.yaml").write_text(text + also)
    return [(finding.severity, finding.message) for finding in Source.read(tmp_path).project()[1]]


def test_what_every_cluster_can_have_is_no_fault(tmp_path):
    assert faults(tmp_path, gateway="tls: {certificate: cert, key: key}") == []


def test_a_folder_of_this_machine_is_seen_by_no_pod_unless_it_is_in_the_image(tmp_path):
    text = "name: a\nservices: {one: {}, two: {bake: true}}\ntargets: {prod: {kind: kubernetes}}\n"
    (tmp_path / "windlass.yaml").write_text(text)

    findings = Source.read(tmp_path).project()[1]

    assert [finding.message for finding in findings] == ["target `prod` cannot see the folder `models`"]
    assert "bake: true" in findings[0].hint


@pytest.mark.parametrize(
    ("gateway", "lost"),
    [
        ("auth: {keys: keys}", "auth"),
        ("rate_limit: {requests_per_second: 5}", "rate_limit"),
        ("allow: [10.0.0.0/8]", "allow"),
        ("tls: {certificate: cert, key: key, client_ca: keys}", "client_ca"),
    ],
)
def test_what_guards_the_gateway_is_never_lost_in_silence(tmp_path, gateway, lost):
    assert faults(tmp_path, gateway=gateway) == [("error", f"routes of `gateway-api` know no `{lost}`")]
    assert faults(tmp_path, gateway=gateway, target="route: {kind: istio}") == [
        ("error", f"routes of `istio` know no `{lost}`")
    ]
    assert faults(tmp_path, gateway=gateway, target="route: {kind: nginx}") == []


def test_keys_of_tenants_need_the_gateway_that_knows_them(tmp_path):
    also = "tenants: {shop: {keys: keys}}\n"
    assert faults(tmp_path, also=also) == [("error", "routes of `gateway-api` know no `keys`")]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("certificate: stored, key: key", "routes of `gateway-api` want certificate and key from one place"),
        ("certificate: one, key: two", "routes of `gateway-api` want certificate and key from one place"),
        ("certificate: mounted, key: mounted", "no pod would mount the certificate of `gateway-api` routes"),
    ],
)
def test_a_certificate_that_routes_cannot_reach_is_a_fault(tmp_path, pair, message):
    assert faults(tmp_path, gateway=f"tls: {{{pair}}}") == [("error", message)]
    assert faults(tmp_path, gateway=f"tls: {{{pair}}}", target="route: {kind: nginx}") == []


def test_measures_that_nobody_takes_scale_nothing(tmp_path):
    target = "external_metrics: false"
    message = "target `prod` has no metrics adapter, which `gpu` and `requests_per_second` need"

    alone = faults(tmp_path, service="autoscale: {max: 3, gpu: 70}", target=target)
    beside = faults(tmp_path, service="autoscale: {max: 3, cpu: 70, requests_per_second: 9}", target=target)

    assert alone == [("error", message)]
    assert beside == [("warning", message)]


def test_a_schedule_keeps_its_own_bounds(tmp_path):
    autoscale = 'autoscale: {max: 3, cpu: 70, schedule: [{cron: "0 7 * * *", min: 4}]}'
    assert faults(tmp_path, service=autoscale) == [("error", "a schedule wants at least 4 replicas, and at most 3")]


def test_a_service_cannot_have_the_name_of_what_belongs_to_another(tmp_path):
    text = "name: a\nservices: {one: {bake: true}, one-canary: {bake: true}}\ntargets: {prod: {kind: kubernetes}}\n"
    (tmp_path / "windlass.yaml").write_text(text)

    findings = Source.read(tmp_path).project()[1]

    assert [one.message for one in findings] == ["service `one` has something of the name `one-canary` in a cluster"]


def test_a_service_cannot_have_the_name_of_the_gateway(tmp_path):
    text = "name: a\nservices: {gateway: {bake: true}}\ngateway: {}\ntargets: {prod: {kind: kubernetes}}\n"
    (tmp_path / "windlass.yaml").write_text(text)

    findings = Source.read(tmp_path).project()[1]

    assert [one.message for one in findings] == ["a service has the name of the gateway"]
