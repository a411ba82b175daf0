"""gRPC over TLS: Triton's client, certificates of an authority made for the test."""

import datetime
import ipaddress
import queue
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tritonclient.utils import InferenceServerException

import windlass
from windlass.errors import ServerError
from windlass.serving.grpc import GrpcSettings, GrpcTls


@dataclass
class Holder:
    """Somebody with a certificate: the files, in PEM."""

    certificate: Path
    key: Path
    signed: x509.Certificate
    secret: ec.EllipticCurvePrivateKey


def certify(folder: Path, name: str, issuer: Holder | None = None) -> Holder:
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.signed.subject if issuer else subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer.secret if issuer else secret, SHA256())
    )
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Holder(certificate, key, signed, secret)


@pytest.fixture
def authority(tmp_path):
    return certify(tmp_path, "authority")


@pytest.fixture
def house(tmp_path, authority):
    return certify(tmp_path, "house", authority)


def serve(repository, tls: GrpcTls) -> windlass.Server:
    repository.add_identity("identity")
    return windlass.Server(repository.path, http_port=None, metrics_port=None, grpc_port=0, grpc=GrpcSettings(tls=tls))


def row(*values: float) -> triton.InferInput:
    given = triton.InferInput("INPUT0", [1, len(values)], "FP32")
    given.set_data_from_numpy(np.array([values], np.float32))
    return given


def infer(client: triton.InferenceServerClient) -> list[float]:
    return client.infer("identity", [row(1.5, 2.5)], client_timeout=20).as_numpy("OUTPUT0")[0].tolist()


def test_clients_that_trust_the_issuer_are_served(repository, authority, house):
    with serve(repository, GrpcTls(house.certificate, house.key)) as server:
        client = triton.InferenceServerClient(
            server.url("grpc"), ssl=True, root_certificates=str(authority.certificate)
        )
        assert infer(client) == [1.5, 2.5]


def test_streams_go_through_it_in_their_order(repository, authority, house):
    with serve(repository, GrpcTls(house.certificate, house.key)) as server:
        client = triton.InferenceServerClient(
            server.url("grpc"), ssl=True, root_certificates=str(authority.certificate)
        )
        answers: queue.Queue[triton.InferResult] = queue.Queue()
        client.start_stream(lambda result, error: answers.put(result or error))
        sizes = [1, 100_000, 3, 500_000]

        for size in sizes:
            client.async_stream_infer("identity", [row(*range(size))])

        assert [answers.get(timeout=20).as_numpy("OUTPUT0").size for _ in sizes] == sizes
        client.close()


def test_clients_without_tls_are_not_heard_and_harm_nobody(repository, authority, house):
    with serve(repository, GrpcTls(house.certificate, house.key)) as server:
        with pytest.raises(InferenceServerException):
            infer(triton.InferenceServerClient(server.url("grpc")))
        client = triton.InferenceServerClient(
            server.url("grpc"), ssl=True, root_certificates=str(authority.certificate)
        )
        assert infer(client) == [1.5, 2.5]


def test_with_mutual_tls_only_clients_with_a_certificate_of_the_issuer_are_heard(
    repository, authority, house, tmp_path
):
    guest = certify(tmp_path, "guest", authority)
    stranger = certify(tmp_path, "stranger", certify(tmp_path, "elsewhere"))
    with serve(repository, GrpcTls(house.certificate, house.key, authority.certificate)) as server:

        def client(holder: Holder | None) -> triton.InferenceServerClient:
            return triton.InferenceServerClient(
                server.url("grpc"),
                ssl=True,
                root_certificates=str(authority.certificate),
                private_key=str(holder.key) if holder else None,
                certificate_chain=str(holder.certificate) if holder else None,
            )

        assert infer(client(guest)) == [1.5, 2.5]
        for other in (stranger, None):
            with pytest.raises(InferenceServerException):
                infer(client(other))


@pytest.mark.parametrize(
    ("certificate", "key", "text"),
    [
        ("nothing.pem", "house.key", "TLS certificate file `.*nothing.pem`: .*No such file"),
        ("house.key", "house.key", "TLS certificate file `.*house.key`: no certificate in it"),
        ("house.pem", "house.pem", "TLS key file `.*house.pem`: no items found"),
        ("house.pem", "authority.key", "TLS key file `.*authority.key`: .*not compatible|KeyMismatch"),
    ],
)
def test_files_that_do_not_fit_are_named(repository, house, tmp_path, certificate, key, text):
    server = serve(repository, GrpcTls(tmp_path / certificate, tmp_path / key))
    with pytest.raises(ServerError, match=text):
        server.start()
