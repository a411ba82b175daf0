"""Replicas come and go; requests find those that are there."""

import httpx
import pytest
import tritonclient.grpc as triton

INPUT = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [0]}]}


def who(gateway) -> float:
    answer = httpx.post(f"http://{gateway.rest}/v2/models/echo/infer", json=INPUT)
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"][0]["data"][0]


def test_a_killed_server_is_passed_over(gateway, start):
    one, two = start(11, "echo"), start(12, "echo")
    both = gateway("gateway: {}", images=[one.address, two.address])
    assert {who(both) for _ in range(20)} == {11, 12}

    one.kill()

    assert {who(both) for _ in range(20)} == {12}
    with triton.InferenceServerClient(both.grpc) as client:
        assert all(client.is_model_ready("echo", headers={"windlass-service": "images"}) for _ in range(10))
    two.kill()
    answer = httpx.post(f"http://{both.rest}/v2/models/echo/infer", json=INPUT)
    assert answer.status_code == 502
    assert answer.json() == {"error": "no server of the service answers"}


@pytest.mark.slow
def test_new_replicas_are_found_while_the_gateway_runs(gateway, start, echo):
    new = start(13, "echo")
    scaled = gateway("gateway: {}", images=[echo.address])
    assert {who(scaled) for _ in range(5)} == {1}

    scaled.names.table["images.test"] = [new.address]

    while who(scaled) != 13:  # the test's own limit ends it
        pass
