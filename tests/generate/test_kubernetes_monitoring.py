"""Rules and dashboards of a project on a cluster that others have servers in too."""

import json
import re

import yaml

from support.golden import Case
from support.layouts import write
from tools.place import run
from windlass.generate import kubernetes


def found(tmp_path, path):
    (tmp_path / "p").mkdir()
    return kubernetes.manifests(Case("everything").release(tmp_path / "p", "prod"))[path][0]


def test_prometheus_accepts_the_rules_and_every_server_is_the_projects_own(tmp_path, tool):
    spec = found(tmp_path, "monitoring")["spec"]

    rules = write({"rules.yaml": yaml.safe_dump(spec)}, tmp_path) / "rules.yaml"
    assert "SUCCESS" in run(tool("promtool"), "check", "rules", rules)
    expressions = [rule["expr"] for group in spec["groups"] for rule in group["rules"]]
    metric = re.compile(r"(?<![\w\"])(?:up|nv_\w+|windlass_\w+)\b(.{0,9})")
    selectors = [one for text in expressions for one in metric.findall(text)]
    assert selectors
    assert all(one == "{project=" for one in selectors), selectors


def test_a_dashboard_asks_for_the_projects_own_servers(tmp_path):
    data = found(tmp_path, "dashboard")["data"]["works-dashboard.json"]

    expressions = [target["expr"] for panel in json.loads(data)["panels"] for target in panel["targets"]]

    assert len(expressions) > 8
    own = [one for one in expressions if "DCGM" not in one]
    assert all('{project="works"' in one for one in own)


def test_servers_are_known_by_the_projects_names_of_services(tmp_path):
    endpoint = found(tmp_path, "inspect/monitor")["spec"]["endpoints"][0]

    assert endpoint["relabelings"] == [
        {"targetLabel": "service", "replacement": "inspect"},
        {"targetLabel": "project", "replacement": "works"},
    ]
