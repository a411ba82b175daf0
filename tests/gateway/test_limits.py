"""How much one client may ask."""

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

KEYS = b"kiosk 0123456789abcdef-a\nphone 0123456789abcdef-b\n"
LIMIT = "rate_limit: {requests_per_second: 0.05, burst: 2, per: %s}"


def statuses(gateway, count: int, **headers: str) -> list[int]:
    url = f"http://{gateway.rest}/v2/models/echo"
    return [httpx.get(url, headers=headers).status_code for _ in range(count)]


def test_requests_above_the_rate_are_refused(gateway):
    limited = gateway(f"gateway: {{{LIMIT % 'address'}}}")

    assert statuses(limited, 4) == [200, 200, 200, 429]
    answer = httpx.get(f"http://{limited.rest}/v2/models/echo")
    assert answer.json() == {"error": "too many requests: try again later"}
    assert answer.headers["retry-after"] == "1"
    assert httpx.get(f"http://{limited.rest}/health").status_code == 200
    with grpc.insecure_channel(limited.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
        calls = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        calls.ModelReady(service_pb2.ModelReadyRequest(name="echo"), metadata=[("windlass-service", "images")])
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_clients_have_rates_of_their_own(gateway):
    limited = gateway(f"gateway: {{auth: {{keys: keys}}, {LIMIT % 'client'}}}", {"keys": KEYS})

    assert statuses(limited, 4, authorization="Bearer 0123456789abcdef-a") == [200, 200, 200, 429]
    assert statuses(limited, 4, authorization="Bearer 0123456789abcdef-b") == [200, 200, 200, 429]
    assert statuses(limited, 2, authorization="Bearer 0123456789abcdef-c") == [401, 401]
