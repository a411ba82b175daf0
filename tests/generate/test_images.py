"""Locks and Dockerfiles as texts: what is pinned, what is refused, what depends on what."""

import json
from dataclasses import replace

import pytest

from windlass.config.project import Source
from windlass.errors import TargetError
from windlass.generate import images
from windlass.generate.images import lock
from windlass.release import read_release

DIGEST = "a" * 64
OURS = ["demo", "onnx", "openvino", "torch"]


@pytest.fixture
def release(tmp_path):
    def read(text: str = "services: {one: {models: [m], backends: [pytorch]}}", backend: str = "onnxruntime"):
        (tmp_path / "models/m/1").mkdir(parents=True, exist_ok=True)
        (tmp_path / "models/m/1/model.py").write_text("")
        (tmp_path / "models/m/config.pbtxt").write_text(f'backend: "{backend}"')
        file = tmp_path / "windlass.yaml"
        file.write_text(f"name: p\n{text}\ntargets: {{here: {{kind: compose}}}}\n")
        project, findings = Source.read(file).project(None)
        assert project is not None, findings
        return read_release(project, "here", tmp_path, "1.0")[0]

    return read


def report(*items: dict) -> str:
    environment = {"sys_platform": "linux", "platform_machine": "x86_64"}
    return json.dumps({"environment": environment, "install": items})


def package(
    name: str, url: str = "https://index.example/x.whl", digest: str | None = DIGEST, **metadata: object
) -> dict:
    hashes = {"archive_info": {"hashes": {"sha256": digest}}} if digest else {}
    return {"metadata": {"name": name, "version": "1.0", **metadata}, "download_info": {"url": url, **hashes}}


def test_a_lock_has_every_package_with_its_digest_in_the_order_of_names(release):
    text = lock.text(release(), "one", report(package("numpy"), package("Click")))

    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "Click==1.0 \\",
        f"    --hash=sha256:{DIGEST}",
        "numpy==1.0 \\",
        f"    --hash=sha256:{DIGEST}",
    ]
    assert not lock.outdated(release(), "one", text)


def test_a_lock_is_outdated_when_something_else_is_asked(release):
    text = lock.text(release(), "one", report())

    assert lock.outdated(release("services: {one: {models: [m], backends: [openvino]}}"), "one", text)
    assert lock.outdated(release(), "one", "")


def test_the_projects_own_wheel_is_not_in_the_lock(release):
    wheel = package("windlass", "file:///wheels/windlass-1.0.whl", provides_extra=OURS)

    assert "windlass==" not in lock.text(release(), "one", report(wheel))


def test_somebody_elses_package_of_our_name_is_refused(release):
    with pytest.raises(TargetError, match="another project under the name `windlass`"):
        lock.text(release(), "one", report(package("windlass", summary="hoists sails")))


def test_a_package_without_a_digest_is_refused(release):
    with pytest.raises(TargetError, match="package `tool` has no digest"):
        lock.text(release(), "one", report(package("tool", "git+https://git.example/tool", None)))


def test_an_image_with_a_gpu_has_the_package_that_is_built_for_it(release):
    text = images.files(release("services: {one: {models: [m], gpus: {count: 1}}}"))["images/one/Dockerfile"]

    assert "FROM nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04" in text
    assert "\nonnxruntime-gpu>=1.20\n" in text
    assert "[onnx]" not in text


def test_pytorch_on_cpus_comes_without_cuda(release):
    text = images.files(release(backend="pytorch"))["images/one/Dockerfile"]

    assert "--extra-index-url https://download.pytorch.org/whl/cpu\nwindlass[torch]==1.0\n" in text


def test_conda_makes_the_environment_that_python_packages_are_added_to(release):
    text = images.files(release("image: {conda: environment.yml}\nservices: {one: {models: [m]}}"))[
        "images/one/Dockerfile"
    ]

    assert "micromamba create --yes --always-copy --prefix /opt/conda --file /asked/environment.yml" in text
    assert "python -m venv --without-pip --system-site-packages /opt/venv" in text


def test_models_are_added_to_the_image_of_another_server(release):
    text = images.files(release("services: {one: {models: [m], runtime: triton, bake: true}}"))["images/one/Dockerfile"]

    assert "FROM nvcr.io/nvidia/tritonserver:" in text
    assert "--mount=type=bind,source=models/m,target=/from/m" in text
    assert "pip install" not in text


def test_the_tag_follows_what_the_image_is_made_of_and_not_how_it_runs(release):
    before = release("services: {one: {models: [m]}}").tag("one")

    assert release("services: {one: {models: [m], drain: 90s, replicas: 3}}").tag("one") == before
    assert release("services: {one: {models: [m], backends: [openvino]}}").tag("one") != before
    known = release("services: {one: {models: [m]}}")
    assert replace(known, inputs={"locks/one.txt": "sha256:1"}).tag("one") != before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("repository: s3://b/m\nservices: {one: {bake: true}}", "only models in a folder can be part of an image"),
        (
            "services: {one: {runtime: vllm, bake: true, vllm: {model: a/b}}}",
            "`a/b` is fetched when the server starts",
        ),
        ("services: {one: {runtime: triton, requirements: r.txt}}", "nothing is installed into the image of runtime"),
    ],
)
def test_what_no_image_can_have_is_a_fault(tmp_path, text, told):
    (tmp_path / "windlass.yaml").write_text(f"name: p\n{text}\ntargets: {{here: {{kind: compose}}}}\n")

    project, findings = Source.read(tmp_path / "windlass.yaml").project(None)

    assert project is None
    assert any(told in finding.message for finding in findings)
