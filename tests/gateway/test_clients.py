"""Who may ask: keys, passwords, certificates, networks; and what is written down of it."""

import ssl

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

INPUT = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [0]}]}
KEY = "Kiosk-0123456789_abcdef~"
OTHER = "other-0123456789-abcdef"
KEYS = f"# who may ask\nkiosk {KEY}\r\n\nphone ~{OTHER}\n".encode()
TLS = "tls: {certificate: certificate, key: certificate-key"


@pytest.fixture(scope="module")
def trust(authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.certificate.decode())


@pytest.fixture(scope="module")
def signed(authority) -> dict[str, bytes]:
    both = authority.sign("models.example.com")
    return {"certificate": both.certificate, "certificate-key": both.key}


@pytest.fixture(scope="module")
def keyed(gateway, signed):
    return gateway(f"gateway: {{{TLS}}}, auth: {{keys: keys}}}}", {**signed, "keys": KEYS})


def ask(gateway, trust: ssl.SSLContext, **headers: str) -> httpx.Response:
    url = f"https://{gateway.rest}/v2/models/echo/infer"
    with httpx.Client(verify=trust) as client:
        return client.post(url, json=INPUT, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("given", [f"Bearer {KEY}", f"bearer {KEY}", f"Bearer ~{OTHER}"])
def test_a_key_opens_the_gateway(keyed, trust, given):
    answer = ask(keyed, trust, authorization=given)

    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == [1]
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"Bearer {KEY.lower()}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Basic {KEY}",
        "Bearer kiosk",
        "Bearer .*",
        KEY,
    ],
)
def test_without_a_key_there_is_no_answer(keyed, trust, given):
    answer = ask(keyed, trust, **({"authorization": given} if given else {}))

    assert answer.status_code == 401
    assert answer.json() == {"error": "credentials are missing or wrong"}
    assert answer.headers["www-authenticate"] == 'Bearer realm="tried"'


def test_calls_need_the_key_too(keyed, authority):
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    named = [("windlass-service", "images")]
    with grpc.secure_channel(keyed.rest, credentials) as channel:
        calls = service_pb2_grpc.GRPCInferenceServiceStub(channel)

        with pytest.raises(grpc.RpcError) as refused:
            calls.ModelReady(service_pb2.ModelReadyRequest(name="echo"), metadata=named)
        answer = calls.ModelReady(
            service_pb2.ModelReadyRequest(name="echo"), metadata=[*named, ("authorization", f"Bearer {KEY}")]
        )

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert answer.ready


def test_the_client_of_triton_asks_over_tls_with_a_key(keyed, authority, tmp_path):
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    tensor = triton.InferInput("INPUT0", [2], "FP32")
    tensor.set_data_from_numpy(np.zeros(2, dtype=np.float32))

    with triton.InferenceServerClient(keyed.rest, ssl=True, root_certificates=str(tmp_path / "ca.pem")) as client:
        headers = {"windlass-service": "images", "authorization": f"Bearer {KEY}"}
        answer = client.infer("echo", [tensor], headers=headers)

    assert answer.as_numpy("OUTPUT0").tolist() == [1, 1]


def test_plain_text_is_refused_where_tls_is_spoken(keyed):
    answer = httpx.get(f"http://{keyed.rest}/v2")

    assert answer.status_code == 400
    assert "error" in answer.json()


def test_old_tls_is_not_spoken(keyed, trust):
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with httpx.Client(verify=old) as client, pytest.raises(httpx.ConnectError):
        client.get(f"https://{keyed.rest}/health")


def test_the_access_log_is_json_and_tells_the_client_but_no_secret(keyed, trust):
    ask(keyed, trust, authorization=f"Bearer {KEY}", user_agent='a "quoted" name')
    ask(keyed, trust, authorization="Bearer nothing-known-here")
    with httpx.Client(verify=trust) as client:
        client.get(f"https://{keyed.rest}/v2/models/echo?token=hidden", headers={"authorization": f"Bearer {KEY}"})

    lines = keyed.wait_for_log('"path":"/v2/models/echo","')
    told = {(line["client"], line["path"], line["status"]) for line in lines}
    assert ("kiosk", "/v2/models/echo/infer", 200) in told
    assert ("", "/v2/models/echo/infer", 401) in told
    assert ("kiosk", "/v2/models/echo", 200) in told
    assert "hidden" not in keyed.log
    for secret in (KEY, "nothing-known-here"):
        assert secret not in keyed.log + keyed.errors


@pytest.mark.parametrize(
    "text, told",
    [
        (b"kiosk\n", "line 1: expected `client-name key`"),
        (b"\nkiosk short\n", "line 2: expected a key of 16 to 200 characters"),
        (b'kiosk 0123456789abcdef"; evil\n', "line 1: expected `client-name key`"),
        (b"a 0123456789abcdef\nb 0123456789ABCDEF\n", "line 2: the key of line 1 again"),
    ],
)
def test_a_fault_in_the_keys_is_told_by_its_line(gateway, keyed, text, told):
    (keyed.folder / "secrets" / "keys").write_bytes(text)
    before = len(keyed.errors)
    try:
        status = keyed.start("-t").wait()
    finally:
        (keyed.folder / "secrets" / "keys").write_bytes(KEYS)

    said = keyed.errors[before:]
    assert status != 0
    assert told in said
    assert "0123456789" not in said


def test_tenants_have_keys_of_their_own(gateway):
    texts = "texts: {models: [story], tenant: acme}"
    both = gateway(
        f"services: {{images: {{models: [echo]}}, {texts}}}\n"
        "tenants: {acme: {keys: acme-keys}}\ngateway: {auth: {keys: keys}}",
        {"keys": KEYS, "acme-keys": f"acme {OTHER}\n".encode()},
    )

    def status(model: str, key: str) -> int:
        url = f"http://{both.rest}/v2/models/{model}"
        return httpx.get(url, headers={"authorization": f"Bearer {key}"}).status_code

    assert [status("echo", KEY), status("echo", OTHER)] == [200, 401]
    assert [status("story", KEY), status("story", OTHER)] == [401, 200]
    with grpc.insecure_channel(both.grpc) as channel:
        calls = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        named = [("windlass-service", "texts")]
        asked = service_pb2.ModelReadyRequest(name="story")
        with pytest.raises(grpc.RpcError) as refused:
            calls.ModelReady(asked, metadata=[*named, ("authorization", f"Bearer {KEY}")])
        assert calls.ModelReady(asked, metadata=[*named, ("authorization", f"Bearer {OTHER}")]).ready
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_passwords_open_the_gateway(gateway):
    # `correct horse`, as `openssl passwd -apr1` hashes it.
    people = b"ada:$apr1$Fh5kKnVL$TaYh7qRv50gsmErcGR2Lh.\n"
    asked = gateway("gateway: {auth: {basic: people}}", {"people": people})
    url = f"http://{asked.rest}/v2/models/echo"

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("ada", "wrong")).json() == {"error": "credentials are missing or wrong"}
    assert httpx.get(url, auth=("ada", "correct horse")).status_code == 200
    assert httpx.get(f"http://{asked.rest}/health").status_code == 200
    asked.wait_for_log('"client":"ada"')


def test_only_clients_with_a_certificate_are_heard(gateway, signed, authority, trust, tmp_path):
    mutual = gateway(f"gateway: {{{TLS}, client_ca: clients}}}}", {**signed, "clients": authority.certificate})
    mine = authority.sign("kiosk")
    (tmp_path / "mine.pem").write_bytes(mine.certificate + mine.key)
    known = ssl.create_default_context(cadata=authority.certificate.decode())
    known.load_cert_chain(tmp_path / "mine.pem")

    assert ask(mutual, trust).status_code == 400
    assert "error" in ask(mutual, trust).json()
    assert ask(mutual, known).status_code == 200
    mutual.wait_for_log('"client":"CN=kiosk"')


def test_clients_of_other_networks_are_not_heard(gateway):
    closed = gateway("gateway: {allow: [10.0.0.0/8]}")
    answer = httpx.get(f"http://{closed.rest}/v2/models/echo")

    assert answer.status_code == 403
    assert answer.json() == {"error": "this is not allowed from here"}
    with grpc.insecure_channel(closed.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
        named = [("windlass-service", "images")]
        calls = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        calls.ModelReady(service_pb2.ModelReadyRequest(name="echo"), metadata=named)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
