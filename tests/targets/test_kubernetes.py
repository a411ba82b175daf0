"""A project on a real Kubernetes API: applied, compared, waited for, changed and taken away."""

import json
import os
import uuid

import pytest

from support.layouts import write
from windlass.config.project import Source
from windlass.errors import TargetError
from windlass.release import read_release
from windlass.targets import open_target
from windlass.targets.cluster.kubernetes import Cluster

PROJECT = """\
name: NAME
services:
  one: {bake: true, replicas: 2, memory: 64MiB, cpus: 0.1, environment: {TOKEN: {secret: token}}}
  two: {bake: true, memory: 64MiB, cpus: 0.1, stateful: true}
image: {tag: good}
secrets: {token: {environment: TEST_TOKEN}}
targets:
  prod: {kind: kubernetes, namespace: NAME, service_monitor: false, layout: kustomize, read_write_many: false}
"""


VOLUME = """\
apiVersion: v1
kind: PersistentVolume
metadata: {name: CLAIM}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  claimRef: {name: CLAIM, namespace: NAME}
  hostPath: {path: /tmp}
"""


class Team:
    """Somebody with a project file and a cluster."""

    def __init__(self, folder, cluster):
        self.folder, self.cluster = folder, cluster
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.text = PROJECT.replace("NAME", self.name)
        self.told = []

    def release(self):
        write(
            {"windlass.yaml": self.text, "models/m/1/model.py": "", "models/m/config.pbtxt": 'backend: "python"'},
            self.folder,
        )
        project, findings = Source.read(self.folder).project("prod")
        assert project, findings
        return read_release(project, "prod", self.folder, "0.1.0", place=".windlass/prod", root="../..")[0]

    def running(self):
        release = self.release()
        return Cluster(release.project, "prod", self.folder / ".windlass/prod", self.folder, patience_s=0)

    def up(self, timeout_s=60):
        self.running().up(self.release(), self.told.append, timeout_s=timeout_s)

    def provide(self):
        """Have a volume for what the stateful service keeps."""
        text = VOLUME.replace("CLAIM", f"cache-{self.name}-two-0").replace("NAME", self.name)
        self.cluster.kubectl("apply", "--filename", write({"volume.yaml": text}, self.folder) / "volume.yaml")

    def kinds(self, kinds, *words):
        told = self.cluster.kubectl("get", kinds, f"--namespace={self.name}", "-o", "json", *words)
        return {one["metadata"]["name"]: one for one in json.loads(told)["items"]}


@pytest.fixture
def team(cluster, tmp_path, monkeypatch):
    for key, value in {**cluster.environment, "TEST_TOKEN": "s3cret-value"}.items():
        monkeypatch.setenv(key, value)
    team = Team(tmp_path, cluster)
    team.provide()
    return team


def test_up_applies_everything_and_waits_until_it_is_ready(team):
    team.up()

    assert {(one.service, one.state) for one in team.running().status()} == {("one", "ready"), ("two", "ready")}
    assert len(team.running().status()) == 3
    assert "one: ready" in team.told
    assert "two: ready" in team.told
    assert (team.folder / ".windlass/prod/overlays/prod/kustomization.yaml").is_file()


def test_a_secret_reaches_the_cluster_and_no_file_argument_or_message(team):
    team.up()

    held = team.kinds("secrets")[f"{team.name}-token"]
    assert held["data"] == {"value": "czNjcmV0LXZhbHVl"}
    assert "annotations" not in held["metadata"]
    written = [path.read_text() for path in team.folder.rglob("*") if path.is_file()]
    assert not any("s3cret" in text or "czNjcmV0" in text for text in [*written, *team.told])


def test_a_secret_that_is_nowhere_stops_before_anything_is_applied(team, monkeypatch):
    monkeypatch.delenv("TEST_TOKEN")

    with pytest.raises(TargetError, match="the secret `token` is not there"):
        team.up()

    assert team.cluster.kubectl("get", "namespace", team.name, "--ignore-not-found") == ""


def test_a_plan_tells_what_would_be_made_then_changed_then_nothing(team):
    new = team.running().plan(team.release())
    assert f"+ Deployment `{team.name}-one` in namespace `{team.name}`" in new
    assert f"+ Secret `{team.name}-token` in namespace `{team.name}`" in new

    team.up()
    assert team.running().plan(team.release()) == ""

    team.text = team.text.replace("replicas: 2", "replicas: 1").replace("stateful: true", "")
    changed = team.running().plan(team.release())
    assert "-  replicas: 2" in changed
    assert "+  replicas: 1" in changed
    assert f"- StatefulSet `{team.name}-two` in namespace `{team.name}`" in changed


def test_what_is_no_more_in_the_project_goes_and_volumes_stay(team):
    team.up()
    team.text = team.text.replace("two: {", "other: {").replace("stateful: true", "replicas: 1")

    team.up()

    assert set(team.kinds("deployments,statefulsets")) == {f"{team.name}-one", f"{team.name}-other"}
    assert f"removing StatefulSet `{team.name}-two`" in team.told
    assert f"cache-{team.name}-two-0" in team.kinds("persistentvolumeclaims")


def test_an_image_that_cannot_be_pulled_is_told_and_the_next_up_repairs(team):
    team.cluster.node.refuse(f"{team.name}-one:bad", "ImagePullBackOff", "Back-off pulling image")
    team.up()
    team.text = team.text.replace("tag: good", "tag: bad")

    with pytest.raises(TargetError, match="`one` does not become ready") as raised:
        team.up()

    assert raised.value.found == f"its image `{team.name}-one:bad` cannot be pulled"
    # Nothing is lost meanwhile: those of before answer until others are ready.
    states = [one.state for one in team.running().status() if one.service == "one"]
    assert sorted(states) == ["failed", "ready", "ready"]
    team.text = team.text.replace("tag: bad", "tag: good")
    team.up()
    assert {one.state for one in team.running().status()} == {"ready"}


def test_gpus_that_no_node_has_are_told_when_time_is_over(team):
    team.text = team.text.replace("one: {", "one: {gpus: {count: 64}, ")

    with pytest.raises(TargetError, match="`one` is not ready in time") as raised:
        team.up(timeout_s=3)

    assert "Insufficient nvidia.com/gpu" in raised.value.found


def test_a_volume_that_nobody_has_is_told_when_time_is_over(team):
    team.cluster.kubectl("delete", "persistentvolume", f"cache-{team.name}-two-0")

    with pytest.raises(TargetError, match="`two` is not ready in time") as raised:
        team.up(timeout_s=3)

    assert f"volume claim `cache-{team.name}-two-0` has no volume" in raised.value.found


def test_pods_over_a_quota_are_told(team):
    team.text = team.text.replace("bake: true, replicas: 2", "bake: true, replicas: 2, tenant: small")
    team.text += "tenants: {small: {quota: {pods: 1}}}\n"

    with pytest.raises(TargetError, match="`one` does not become ready") as raised:
        team.up()

    assert "its pods are refused" in raised.value.found
    assert "exceeded quota" in raised.value.found
    assert any(one.state == "failed" for one in team.running().status())


def test_an_up_that_was_interrupted_is_finished_by_the_next_and_removed_by_down(team, monkeypatch):
    running = team.running()
    monkeypatch.setattr(running, "_wait", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        running.up(team.release(), team.told.append, timeout_s=60)

    team.up()
    team.running().down(team.told.append)

    assert team.kinds("deployments,statefulsets,services,secrets,networkpolicies,serviceaccounts").keys() <= {"default"}


def test_down_keeps_volumes_unless_they_are_to_go_and_leaves_the_namespace(team):
    team.up()
    claim = f"cache-{team.name}-two-0"

    team.running().down(team.told.append)
    assert claim in team.kinds("persistentvolumeclaims")
    assert team.running().status() == []

    team.running().down(team.told.append, volumes=True)
    found = team.kinds("persistentvolumeclaims")
    assert claim not in found or "deletionTimestamp" in found[claim]["metadata"]
    assert "Active" in team.cluster.kubectl("get", "namespace", team.name)


def test_scaling_lasts_until_the_next_up(team):
    team.up()

    team.running().scale(team.release(), "one", 3, team.told.append)
    assert len([one for one in team.running().status() if one.service == "one"]) == 3

    team.up()
    assert team.kinds("deployments")[f"{team.name}-one"]["spec"]["replicas"] == 2


def test_an_autoscaler_is_held_to_what_is_asked_for(team):
    team.text = team.text.replace("replicas: 2", "autoscale: {max: 3, cpu: 50}")
    team.up()

    team.running().scale(team.release(), "one", 2, team.told.append)

    spec = team.kinds("horizontalpodautoscalers")[f"{team.name}-one"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 2)


def test_restart_replaces_every_pod_of_a_service(team):
    team.up()
    before = {one.name for one in team.running().status() if one.service == "one"}

    team.running().restart("one", team.told.append)

    after = {one.name for one in team.running().status() if one.service == "one" and one.state == "ready"}
    assert len(after) == 2
    assert not before & after


def test_a_kind_that_the_cluster_does_not_know_is_told_before_anything_is_applied(team, cluster):
    # Another test may have taught the cluster that all share.
    cluster.kubectl("delete", "crd", "serviceprofiles.linkerd.io", "--ignore-not-found")
    team.text = team.text.replace("service_monitor: false, ", "linkerd: true, ")

    with pytest.raises(TargetError, match="the cluster does not know linkerd.io") as raised:
        team.up()

    assert "Linkerd" in raised.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context: none": "kind: kubernetes"}, "kubectl knows no context `none`"),
    ],
)
def test_a_context_that_is_not_there_is_told(team, change, message):
    for new, old in change.items():
        team.text = team.text.replace(old, f"{old}, {new}")

    with pytest.raises(TargetError, match=message):
        team.up()


def test_a_cluster_that_does_not_answer_is_told(team, tmp_path, monkeypatch):
    config = team.cluster.kubeconfig.read_text().replace(team.cluster.url, "https://127.0.0.1:1")
    (tmp_path / "kubeconfig").write_text(config)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with pytest.raises(TargetError, match="no Kubernetes API answers at `127.0.0.1:1`"):
        team.running().status()


def test_what_a_user_may_not_do_is_told(team, tmp_path, monkeypatch):
    team.cluster.kubectl("create", "namespace", team.name)
    team.cluster.kubectl("create", "serviceaccount", "guest", f"--namespace={team.name}")
    token = team.cluster.kubectl("create", "token", "guest", f"--namespace={team.name}").strip()
    config = team.cluster.kubeconfig.read_text().replace(team.cluster.token, token)
    (tmp_path / "kubeconfig").write_text(config)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with pytest.raises(TargetError, match=f"`system:serviceaccount:{team.name}:guest` may not patch namespaces"):
        team.up()


def test_without_kubectl_it_is_told_how_to_have_it(team, monkeypatch):
    release = team.release()
    monkeypatch.setenv("PATH", os.devnull)

    with pytest.raises(TargetError, match="`kubectl` is not on this machine") as raised:
        open_target(release.project, "prod", team.folder).status()

    assert "kubernetes.io/docs" in raised.value.hint
