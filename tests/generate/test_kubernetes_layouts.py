"""Plain manifests, a kustomize tree and a Helm chart hold the same objects, as their own tools read them."""

import subprocess

import pytest
import yaml

from support.golden import Case
from support.layouts import clusters, in_layout, write
from tools.place import environment
from windlass.generate import kubernetes
from windlass.generate.kubernetes.objects import bare

CLUSTERS = [pytest.param(case, target, id=f"{case.name}-{target}") for case, target in clusters()]


def ran(*words, folder, status=0):
    done = subprocess.run(list(map(str, words)), cwd=folder, env=environment(), text=True, capture_output=True)
    assert done.returncode == status, done.stderr
    return done.stdout


def keyed(objects):
    return {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one for one in objects}


def expected(release):
    found = [one for declared in kubernetes.manifests(release).values() for one in declared]
    by_key = keyed(map(bare, found))
    assert len(by_key) == len(found), "two objects of one kind have the same name"
    return by_key


def read(text):
    return keyed(one for one in yaml.safe_load_all(text) if one)


@pytest.mark.parametrize(("case", "target"), CLUSTERS)
def test_plain_files_hold_every_object(case, target, tmp_path):
    release = in_layout(case.release(tmp_path, target), "plain")

    texts = [text for path, text in kubernetes.files(release).items() if path.endswith(".yaml")]

    assert read("---\n".join(texts)) == expected(release)


@pytest.mark.parametrize(("case", "target"), CLUSTERS)
def test_an_overlay_builds_the_same_objects(case, target, tmp_path, tool):
    release = in_layout(case.release(tmp_path, target), "kustomize")
    folder = write(kubernetes.files(release), tmp_path / "tree")

    built = ran(tool("kubectl"), "kustomize", f"overlays/{target}", folder=folder)

    assert read(built) == expected(release)


@pytest.mark.parametrize(("case", "target"), CLUSTERS)
def test_a_chart_makes_the_same_objects(case, target, tmp_path, tool):
    release = in_layout(case.release(tmp_path, target), "helm")
    folder = write(kubernetes.files(release), tmp_path / "chart")
    words = ["template", release.project.name, ".", "--kube-version=1.33", "--set=namespaces.create=true"]

    made = ran(tool("helm"), *words, folder=folder)

    assert read(made) == expected(release)
    assert "1 chart(s) linted, 0 chart(s) failed" in ran(tool("helm"), "lint", ".", folder=folder)


def test_every_target_renders_the_same_tree(tmp_path):
    for target in ("prod", "staging"):
        (tmp_path / target).mkdir()
    first, second = (Case("autoscaled").release(tmp_path / target, target) for target in ("prod", "staging"))

    assert kubernetes.files(first) == kubernetes.files(second)


def test_values_change_what_a_chart_makes_and_nothing_unknown_is_taken(tmp_path, tool):
    release = in_layout(Case("everything").release(tmp_path, "prod"), "helm")
    folder = write(kubernetes.files(release), tmp_path / "chart")
    template = [tool("helm"), "template", "works", ".", "--kube-version=1.33"]
    changes = ["services.legacy.replicas=5", "services.inspect.canaryWeight=10", "gateway.host=other.example.com"]

    made = read(ran(*template, *(f"--set={one}" for one in changes), folder=folder))

    assert made["StatefulSet", "works", "works-legacy"]["spec"]["replicas"] == 5
    route = made["HTTPRoute", "works", "works-inspect"]["spec"]
    assert route["hostnames"] == ["other.example.com"]
    assert [one["weight"] for one in route["rules"][0]["backendRefs"]] == [90, 10]
    assert not any(kind == "Namespace" for kind, _, _ in made)
    ran(*template, "--set=services.legacy.replica=5", folder=folder, status=1)
