"""The cluster takes, refuses, compares and rolls out what kubectl brings it."""

import json
import uuid

import pytest

from tools.place import Failed

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2
  selector:
    matchLabels: {{app: shop}}
  template:
    metadata:
      labels: {{app: shop}}
    spec:
      containers:
        - name: server
          image: {image}
          resources:
            limits: {{nvidia.com/gpu: "{gpus}"}}
"""

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gateway}]
  rules:
    - backendRefs:
        - {name: shop, port: 8000, weight: 90}
        - {name: shop-canary, port: 8000, weight: 10}
"""


@pytest.fixture
def namespace(cluster) -> str:
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    return f"--namespace={name}"


def written(folder, image="shop:1", gpus=0, text=DEPLOYMENT):
    path = folder / "deployment.yaml"
    path.write_text(text.format(image=image, gpus=gpus))
    return path


def test_a_deployment_is_applied_and_rolls_out(cluster, namespace, tmp_path):
    cluster.kubectl("apply", "--server-side", namespace, "-f", written(tmp_path))

    assert "successfully rolled out" in cluster.kubectl("rollout", "status", namespace, "deployment/shop")
    pods = json.loads(cluster.kubectl("get", "pods", namespace, "-l", "app=shop", "-o", "json"))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    cluster.kubectl("scale", namespace, "deployment/shop", "--replicas=3")
    assert "successfully rolled out" in cluster.kubectl("rollout", "status", namespace, "deployment/shop")


def test_a_diff_shows_what_would_change(cluster, namespace, tmp_path):
    cluster.kubectl("apply", namespace, "-f", written(tmp_path))

    assert cluster.kubectl("diff", namespace, "-f", written(tmp_path)) == ""
    with pytest.raises(Failed, match="ended with 1(?s:.*)image: shop:2"):
        cluster.kubectl("diff", namespace, "-f", written(tmp_path, image="shop:2"))


def test_an_unknown_field_is_refused(cluster, namespace, tmp_path):
    with pytest.raises(Failed, match='unknown field "spec.replica"'):
        cluster.kubectl("apply", namespace, "-f", written(tmp_path, text=DEPLOYMENT.replace("replicas", "replica")))


def test_an_image_that_cannot_be_pulled_stops_the_rollout(cluster, namespace, tmp_path):
    cluster.node.refuse("shop:none", "ImagePullBackOff", 'Back-off pulling image "shop:none"')
    cluster.kubectl("apply", namespace, "-f", written(tmp_path, image="shop:none"))

    with pytest.raises(Failed, match="timed out"):
        cluster.kubectl("rollout", "status", namespace, "deployment/shop", "--timeout=3s")
    reason = "{.items[*].status.containerStatuses[*].state.waiting.reason}"
    assert "ImagePullBackOff" in cluster.kubectl("get", "pods", namespace, "-o", f"jsonpath={reason}")


def test_pods_that_want_more_gpus_than_there_are_wait(cluster, namespace, tmp_path):
    cluster.kubectl("apply", namespace, "-f", written(tmp_path, gpus=3))

    cluster.kubectl("wait", namespace, "--for=condition=PodScheduled=false", "pod", "-l", "app=shop", "--timeout=20s")
    assert "Insufficient nvidia.com/gpu" in cluster.kubectl("get", "pods", namespace, "-o", "yaml")


def test_routes_are_known_and_checked(cluster, namespace, tmp_path):
    cluster.extend()
    path = tmp_path / "route.yaml"

    path.write_text(ROUTE)
    cluster.kubectl("apply", "--server-side", namespace, "-f", path)
    path.write_text(ROUTE.replace("weight: 10", "weight: -10"))
    with pytest.raises(Failed, match="should be greater than or equal to 0"):
        cluster.kubectl("apply", "--server-side", namespace, "-f", path)
