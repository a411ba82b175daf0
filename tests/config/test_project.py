"""What a project file means, and what is told of one that is wrong: all of it, with lines."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from windlass.config.project import FILE, Source
from windlass.config.project.project import Project
from windlass.config.project.schema import json_schema
from windlass.config.yaml_text import parse
from windlass.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def read(tmp_path):
    def read(text: str, target: str | None = None):
        (tmp_path / FILE).write_text(text)
        project, findings = Source.read(tmp_path).project(target)
        return project, [
            (finding.where.removeprefix(f"{tmp_path / FILE}:"), finding.message, finding.hint) for finding in findings
        ]

    return read


def right(read, text: str, target: str | None = None) -> Project:
    project, findings = read(text, target)
    assert findings == []
    assert project is not None
    return project


def test_a_name_is_enough(read):
    project = right(read, "name: small\n")
    assert project.repository.path == "models"
    assert list(project.services) == ["models"]
    assert list(project.targets) == ["local"]


def test_amounts_are_written_as_people_write_them(read):
    project = right(
        read, "name: a\nservices: {s: {memory: 1.5GiB, drain: 1m30s, cpus: 0.5, startup: 500ms, shared_memory: 64M}}\n"
    )
    service = project.services["s"]
    assert (service.memory, service.drain, service.startup) == (1.5 * 1024**3, 90.0, 0.5)
    assert service.shared_memory == 64 * 10**6


def test_a_target_overrides_key_by_key(read):
    text = """name: a
services: {one: {memory: 1GiB, replicas: 1}, two: {bake: true}}
gateway: {port: 9000}
targets:
  box: {kind: compose}
  prod:
    kind: kubernetes
    overrides:
      services: {one: {replicas: 3, bake: true}}
      gateway: null
"""
    box, prod = right(read, text), right(read, text, "prod")
    assert (box.services["one"].replicas, prod.services["one"].replicas) == (1, 3)
    assert prod.services["one"].memory == 1024**3
    assert box.gateway is not None
    assert prod.gateway is None


def test_every_fault_is_told_at_once_with_its_line(read):
    project, findings = read(
        """name: Help Desk
servces: {}
services:
  vision:
    memroy: 4GiB
    replicas: two
    memory: 4 apples
  speech:
    runtime: vllm
gateway:
  timeouts: {read: 60}
  rate_limit: {requests_per_second: 50, per: clent}
  allow: [10.0.0.0/33]
targets:
  prod: {kind: kubernetes, namespce: ml}
  odd: {kind: swarm}
"""
    )
    assert project is None
    assert [(where, message) for where, message, _ in findings] == [
        ("1: name", "expected lower-case letters, digits and dashes, got `Help Desk`"),
        ("2: servces", "unknown key"),
        ("5: services.vision.memroy", "unknown key"),
        ("6: services.vision.replicas", "expected an integer, got `two`"),
        ("7: services.vision.memory", "expected a size like `512MiB` or `4GiB`, got `4 apples`"),
        ("8: services.speech", "`runtime: vllm` and the mapping `vllm` go together: give both or neither"),
        ("11: gateway.timeouts.read", "expected a time like `30s`, `5m` or `1h30m`, got `60`"),
        ("12: gateway.rate_limit.per", "expected 'address' or 'client', got `clent`"),
        ("13: gateway.allow.0", findings[8][1]),
        ("15: targets.prod.namespce", "unknown key"),
        ("16: targets.odd", "expected one of 'local', 'compose', 'kubernetes', got `swarm`"),
    ]
    hints = {where: hint for where, _, hint in findings}
    assert hints["2: servces"] == "did you mean `services`?"
    assert hints["5: services.vision.memroy"] == "did you mean `memory`?"
    assert hints["15: targets.prod.namespce"] == "did you mean `namespace`?"


def test_faults_between_parts_are_told_beside_faults_inside_them(read):
    _, findings = read("name: a\nservices:\n  s:\n    replicas: many\n    environment: {TOKEN: {secret: hub}}\n")
    assert [message for _, message, _ in findings] == ["expected an integer, got `many`", "there is no secret `hub`"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {a: {gpus: {ids: [0]}}, b: {gpus: {ids: [0, 1]}}}", "GPU 0 is pinned by service `a` too"),
        ("services: {a: {gpus: {ids: [0]}, replicas: 2}}", "every replica would use the same GPUs"),
        ("services: {a: {gpus: {ids: [0], count: 1}}}", "expected either `count` or `ids`"),
        ("services: {a: {gpus: {}}}", "expected either `count` or `ids`"),
        ("services: {a: {autoscale: {min: 3, max: 2, cpu: 70}}}", "`min` (3) is greater than `max` (2)"),
        ("services: {a: {tenant: acme}}", "there is no tenant `acme`"),
        ("repository: {path: a, volume: b}", "expected one of `path`, `url` and `volume`"),
        ("gateway: {auth: {}}", "expected either `basic` or `keys`"),
        ("gateway: {grpc_port: 8080}", "without TLS `port` and `grpc_port` must differ: both are 8080"),
        (
            "gateway: {bind: 0.0.0.0, auth: {keys: k}}\nsecrets: {k: {file: keys}}",
            "passwords and keys would cross the network in plain text",
        ),
        ("gateway: {rate_limit: {requests_per_second: 1, per: client}}", None),
        ("services: {a: {callers: [{labels: {}}], placement: {spread: rack}}}", None),
        ("secrets: {k: {}}", None),
    ],
)
def test_what_cannot_be_is_told(read, text, message):
    project, findings = read(f"name: tried\ntargets: {{box: {{kind: compose}}}}\n{text}\n")
    assert project is None
    assert len(findings) == 1
    assert message is None or findings[0][1] == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "expected the node content, but found '<stream end>'"),
        ("name: a\nname: b\n", "the key `name` stands here a second time"),
        ("name: &a [*a]\n", "an alias stands inside what it stands for"),
        ("name: *nothing\n", "found undefined alias 'nothing'"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(read, text, message):
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert message in raised.value.message
    assert raised.value.where is not None
    assert raised.value.where.rpartition(":")[2].isdigit()


def test_aliases_cannot_fill_the_memory(read):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 200000 values"):
        read("\n".join(lines))


def test_words_are_words_and_clocks_are_no_numbers(read):
    project = right(read, "name: a\nservices: {s: {environment: {A: yes, B: 08:30, C: 0o17, D: on, E: 1e3}}}\n")
    assert project.services["s"].environment == {"A": "yes", "B": "08:30", "C": 15, "D": "on", "E": 1000.0}


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n", "\t\n"])
def test_a_file_of_something_else_is_told(read, text):
    try:
        project, findings = read(text)
    except ConfigError:
        return
    assert project is None
    assert findings


def test_a_missing_file_and_a_missing_target_are_told(read, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read") as raised:
        Source.read(tmp_path / "nowhere")
    assert raised.value.hint == "write one with `windlass init`, or name another with `-f`"
    with pytest.raises(ConfigError, match="there is no target `prod`"):
        read("name: a\n", "prod")


def test_the_reference_is_that_of_the_classes():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "project.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "reference" / "windlass-yaml.md").read_text() == module.page(), "`make docs` writes it"


def test_every_key_is_described():
    schema = json.loads(json.dumps(Project.model_json_schema()))
    bare = [
        f"{name}.{key}"
        for name, part in {"Project": schema, **schema["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if not value.get("description") and not ("$ref" in value and schema["$defs"][value["$ref"][8:]]["description"])
    ]
    assert bare == []


def test_the_schema_for_editors_takes_what_is_right_and_refuses_what_is_not(tool, tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(json_schema()))
    (tmp_path / "wrong.yaml").write_text("name: a\nservices: {s: {memroy: 4GiB}}\n")
    command = [tool("check-jsonschema"), "--schemafile", tmp_path / "schema.json"]
    right_ones = sorted((ROOT / "tests" / "golden").glob("*/windlass.yaml"))
    taken = subprocess.run([*command, *right_ones], capture_output=True, text=True, check=False)
    assert taken.returncode == 0, taken.stdout
    refused = subprocess.run([*command, tmp_path / "wrong.yaml"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "memroy" in refused.stdout


def test_what_json_writes_as_two_halves_is_one_character():
    assert parse('{"a": "\\ud83d\\ude00"}', "here").value == {"a": "😀"}


def test_half_a_character_is_told_with_its_line():
    with pytest.raises(ConfigError, match="here:2: an escape stands for half a character"):
        parse('a: 1\nb: "\\ud83d"\n', "here")
