"""What kubelets and schedulers say of a pod becomes one sentence."""

import pytest

from windlass.targets.cluster.pods import claims, condition, restarts

UNBOUND = (
    "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
GPUS = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available."


def pod(*statuses, init=(), conditions=(), phase="Pending", **metadata):
    spec = {
        "containers": [{"name": "server", "image": "a:1", "resources": {"limits": {"memory": "2Gi"}}}],
        "initContainers": [{"name": "fetch-models", "image": "rclone:1"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "m", "persistentVolumeClaim": {"claimName": "models"}}],
    }
    status = {"phase": phase, "conditions": list(conditions)}
    status |= {"initContainerStatuses": list(init), "containerStatuses": list(statuses)}
    return {"metadata": {"name": "a-1", **metadata}, "spec": spec, "status": status}


def container(name="server", *, restarts=0, last=None, ready=False, started=None, **state):
    found = {"name": name, "image": "a:1", "restartCount": restarts, "ready": ready, "state": state}
    return {**found, **({"lastState": {"terminated": last}} if last else {}), "started": started}


def waiting(reason, message="", **also):
    return container(waiting={"reason": reason, "message": message}, **also)


def unscheduled(message):
    return pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}])


SENTENCES = [
    (
        pod(waiting("ErrImagePull", "manifest unknown")),
        ("starting", "its image `a:1` cannot be pulled: manifest unknown"),
    ),
    (pod(waiting("ImagePullBackOff", 'Back-off pulling image "a:1"')), ("failed", "its image `a:1` cannot be pulled")),
    (
        pod(waiting("InvalidImageName", "bad reference")),
        ("failed", "its image `a:1` cannot be pulled: bad reference"),
    ),
    (
        pod(waiting("CreateContainerConfigError", 'secret "works-erp" not found')),
        ("failed", "secret `works-erp` not found"),
    ),
    (
        pod(waiting("CrashLoopBackOff", "back-off", restarts=4, last={"exitCode": 137, "reason": "OOMKilled"})),
        ("failed", "it needs more memory than its limit of 2Gi, and was killed"),
    ),
    (
        pod(waiting("CrashLoopBackOff", "back-off", restarts=4, last={"exitCode": 2, "reason": "Error"})),
        ("failed", "it ended with 2"),
    ),
    (
        pod(container(terminated={"exitCode": 139, "reason": "Error"})),
        ("restarting", "it was ended by signal 11"),
    ),
    (
        pod(init=[container("fetch-models", terminated={"exitCode": 1, "reason": "Error"})]),
        ("restarting", "init container `fetch-models` ended with 1"),
    ),
    (pod(init=[container("fetch-models", running={})]), ("starting", "")),
    (pod(waiting("ContainerCreating")), ("starting", "")),
    (pod(container(running={}, started=False)), ("starting", "")),
    (
        pod(container(running={}, started=False, restarts=1)),
        ("starting", "it loads its models, for the second time"),
    ),
    (pod(container(running={}, started=True), phase="Running"), ("unready", "its readiness probe fails")),
    (unscheduled(GPUS), ("starting", "no node takes it: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu")),
    (
        unscheduled(UNBOUND),
        ("starting", "no node takes it: 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims"),
    ),
    (
        {**pod(), "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}},
        ("failed", "Evicted: The node was low on memory."),
    ),
    (pod(deletionTimestamp="2026-11-21T10:00:00Z"), ("stopped", "it finishes what it has begun")),
    (pod(conditions=[{"type": "Ready", "status": "True"}], phase="Running"), ("ready", "")),
    (pod(), ("starting", "")),
]


@pytest.mark.parametrize(("status", "told"), SENTENCES, ids=[told[1] or told[0] for _, told in SENTENCES])
def test_a_pod_says_in_one_sentence_how_it_is(status, told):
    found = condition(status)
    assert (found.state, found.reason) == told


def test_waiting_is_in_vain_only_where_somebody_has_to_change_something():
    hopeless = [condition(status).reason for status, _ in SENTENCES if condition(status).hopeless]

    assert len(hopeless) == 6
    assert not any("no node takes it" in reason for reason in hopeless)


def test_the_container_that_ended_is_named_so_that_its_last_words_can_be_read():
    ended = pod(init=[container("fetch-models", terminated={"exitCode": 1})])
    assert condition(ended).ended == "fetch-models"


def test_restarts_of_all_containers_count():
    both = pod(container(restarts=2, running={}), init=[container("fetch-models", restarts=1)])
    assert restarts(both) == 3


def test_a_pod_tells_the_claims_it_mounts():
    assert claims(pod()) == ["models"]
