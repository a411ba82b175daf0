"""What is written for clusters, as Kubernetes' own schemas, its API and a security linter read it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from support.layouts import FOREIGN, clusters, in_layout, write
from tools import pypi
from tools.place import environment
from windlass.generate import kubernetes
from windlass.generate.kubernetes.readme import PROVIDERS

VERSIONS = ["1.29", "1.31", "1.33"]
SUPPORT = Path(__file__).parents[1] / "support"

# What checkov finds, and why it stays.
EXPLAINED = {
    "CKV_K8S_15": "images are named by a digest of what they are made of: pulling them again changes nothing",
    "CKV_K8S_43": "the registry's own digest of an image is known after it was pushed only",
    "CKV_K8S_35": "servers and libraries read tokens from their environment",
    "CKV_K8S_38": "the jobs that scale ask the API server: a Role for these objects, and nothing else",
    "CKV_K8S_40": "nginx' image gives its own folders to the user 101",
}


@pytest.fixture
def written(request, tmp_path):
    case, target = request.param
    release = in_layout(case.release(tmp_path, target), "plain")
    return write(kubernetes.files(release), tmp_path / "manifests")


def files(folder):
    return sorted(folder.rglob("*.yaml"))


def objects(folder):
    return [one for file in files(folder) for one in yaml.safe_load_all(file.read_text()) if one]


def ran(*words):
    return subprocess.run(list(map(str, words)), env=environment(), text=True, capture_output=True)


each_cluster = pytest.mark.parametrize("written", clusters(), indirect=True, ids=lambda one: f"{one[0].name}-{one[1]}")


@each_cluster
@pytest.mark.parametrize("version", VERSIONS)
def test_objects_keep_to_the_schemas_of_kubernetes(written, version, tool):
    done = ran(tool("kubernetes-validate"), "--strict", "-k", version, *files(written))

    told = (done.stdout + done.stderr).splitlines()
    own = [one for one in objects(written) if one["apiVersion"].partition("/")[0] not in PROVIDERS]
    unknown = {line.partition("for kind ")[2].partition(" ")[0] for line in told if "Couldn't find schema" in line}
    assert done.returncode == 0, "\n".join(line for line in told if "passed" not in line)
    assert not unknown & {one["kind"] for one in own}
    passed = {line.partition("passed for resource ")[2].partition(" ")[0] for line in told if "passed for" in line}
    assert passed == {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in own}


@each_cluster
def test_another_reader_of_the_schemas_agrees(written, tool):
    schemas = f"-schema-location={pypi.kubernetes_schemas()}"
    skipped = f"-skip={','.join(FOREIGN)}"
    done = ran(
        tool("kubeconform"), "-strict", "-summary", "-kubernetes-version=1.33.0", schemas, skipped, *files(written)
    )

    own = [one for one in objects(written) if one["kind"] not in FOREIGN]
    assert done.returncode == 0, done.stdout
    assert f"Valid: {len(own)}, Invalid: 0, Errors: 0" in done.stdout


@each_cluster
def test_a_real_api_takes_every_object(written, cluster):
    """Of every kind: its server knows what Gateway API, Istio and the operators define, and refuses any other field."""
    cluster.extend()
    cluster.kubectl("apply", "--server-side", "--filename", SUPPORT / "definitions.yaml")
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
    if (written / "00-namespaces.yaml").exists():
        cluster.kubectl("apply", "--server-side", "--filename", written / "00-namespaces.yaml")

    took = cluster.kubectl("apply", "--server-side", "--dry-run=server", "--recursive", "--filename", written)

    assert took.count("serverside-applied (server dry run)") == len(objects(written))


def test_a_linter_of_security_finds_nothing_that_is_not_explained(tmp_path, tool):
    for case, target in clusters():
        (tmp_path / case.name / target).mkdir(parents=True)
        release = in_layout(case.release(tmp_path / case.name / target, target), "plain")
        write(kubernetes.files(release), tmp_path / "all" / f"{case.name}-{target}")

    words = ("--framework=kubernetes", "--skip-download", "--output=json", "--soft-fail", "--directory")
    report = json.loads(ran(tool("checkov"), *words, tmp_path / "all").stdout)

    found = {one["check_id"]: one["resource"] for one in report["results"]["failed_checks"]}
    assert found.keys() == EXPLAINED.keys(), found
    assert report["summary"]["passed"] > 1000
