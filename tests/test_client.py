"""windlass.Client and AsyncClient against a real server."""

import ml_dtypes
import numpy as np
import pytest

from windlass import AsyncClient, Client, ClientError


@pytest.fixture
def url(repository, serve):
    for name, data_type in (("echo", "FP32"), ("words", "STRING"), ("half", "FP16"), ("brain", "BF16")):
        repository.add_identity(name, data_type)
    return serve().url()


@pytest.fixture
def client(url):
    with Client(url) as client:
        yield client


@pytest.mark.parametrize(
    ("model", "array"),
    [
        ("echo", np.array([[1.5, -2]], np.float32)),
        ("half", np.array([[1.5, -2]], np.float16)),
        ("brain", np.array([[1.5, -2]], ml_dtypes.bfloat16)),
        ("words", np.array([[b"a", b""]], object)),
    ],
)
def test_arrays_come_back_as_they_went(client, model, array):
    answer = client.infer(model, {"INPUT0": array})["OUTPUT0"]
    assert answer.dtype == array.dtype
    np.testing.assert_array_equal(answer, array)


def test_texts_are_sent_as_bytes(client):
    answer = client.infer("words", {"INPUT0": np.array([["\u00e9"]])})["OUTPUT0"]
    assert answer[0, 0] == "\u00e9".encode()


def test_what_a_server_tells_of_itself(client):
    assert client.live()
    assert client.ready()
    assert client.ready("echo", 1)
    assert not client.ready("nope")
    assert client.metadata()["name"] == "windlass"
    assert client.metadata("echo")["inputs"][0]["datatype"] == "FP32"
    assert client.config("echo")["backend"] == "python"
    assert [entry["state"] for entry in client.models()] == ["READY"] * 4
    assert client.statistics("echo")[0]["inference_count"] == 0


def test_an_error_has_the_server_s_words_and_status(client):
    with pytest.raises(ClientError, match="unknown model: 'nope' is not found") as failure:
        client.infer("nope", {"INPUT0": np.zeros((1, 1), np.float32)})
    assert failure.value.status == 404


def test_a_server_that_is_not_there_is_told():
    with Client("127.0.0.1:9", timeout_s=2) as client, pytest.raises(ClientError, match="no answer from") as failure:
        client.metadata()
    assert failure.value.status is None
    assert failure.value.hint


def test_what_the_protocol_does_not_carry_is_refused(client):
    with pytest.raises(ClientError, match="arrays of `complex128` cannot be sent"):
        client.infer("echo", {"INPUT0": np.zeros(1, complex)})


async def test_the_asyncio_client_does_the_same(url):
    async with AsyncClient(url) as client:
        answer = await client.infer("echo", {"INPUT0": [[1.0, 2.0]]} | {"INPUT0": np.ones((1, 2), np.float32)})
        np.testing.assert_array_equal(answer["OUTPUT0"], [[1, 1]])
        assert await client.live()
        assert await client.ready("echo")
        assert (await client.metadata("echo"))["versions"] == ["1"]
        assert (await client.config("echo"))["name"] == "echo"
        assert (await client.statistics("echo"))[0]["inference_count"] == 1
        assert len(await client.models()) == 4
        with pytest.raises(ClientError, match="explicit model load"):
            await client.load("echo")
        with pytest.raises(ClientError, match="explicit model load"):
            await client.unload("echo")
