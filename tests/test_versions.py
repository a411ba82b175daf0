"""One version, told alike everywhere; public names, complete and sorted."""

import re
import tomllib
from pathlib import Path

import windlass
from windlass._plane import metric_catalogue

ROOT = Path(__file__).parent.parent


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    workspace = tomllib.loads((ROOT / "rust" / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert windlass.__version__ == project == workspace == newest[1]


def test_every_public_name_can_be_imported():
    assert sorted(windlass.__all__, key=str.lower) == sorted(set(windlass.__all__), key=str.lower)
    for name in windlass.__all__:
        assert getattr(windlass, name)


def test_every_metric_is_documented():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for name, kind, text in metric_catalogue():
        assert f"| `{name}` | {kind} | {text.rstrip('.')} |" in page, name


def test_the_messages_are_generated_from_the_schema(tmp_path):
    from google.protobuf import descriptor_pb2
    from grpc_tools import protoc

    from windlass.config import model_config_pb2

    out = tmp_path / "set.pb"
    assert protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--descriptor_set_out={out}", "model_config.proto"]) == 0
    schema = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]
    generated = descriptor_pb2.FileDescriptorProto()
    model_config_pb2.DESCRIPTOR.CopyToProto(generated)

    def fields(message: descriptor_pb2.DescriptorProto) -> object:
        nested = [fields(inner) for inner in message.nested_type]
        return message.name, [(f.name, f.number, f.label, f.type, f.type_name) for f in message.field], nested

    assert [fields(m) for m in schema.message_type] == [fields(m) for m in generated.message_type]
