"""What models are told, and the answers and errors they give."""

import json

import httpx
import numpy as np
import pytest

from windlass import ClientError

ROW = np.array([[1.0, 2.0]], np.float32)


def test_a_model_completes_its_own_configuration(models):
    served = models("auto_complete")

    doubled = served.ask("auto_complete", x=ROW)["y"]
    tripled = served.ask("auto_complete", x=ROW, by=np.array([[3]], np.float32))["y"]
    config = served.rest.config("auto_complete")

    assert (doubled.tolist(), tripled.tolist()) == ([[2, 4]], [[3, 6]])
    assert config["max_batch_size"] == 8
    assert "dynamic_batching" in config


def told(served, body: dict) -> tuple[dict, dict]:
    url = f"{served.server.url()}/v2/models/inspector/infer"
    answer = httpx.post(url, json=body).raise_for_status().json()
    return answer, json.loads(answer["outputs"][0]["data"][0])


def test_a_model_sees_all_of_its_request(models):
    served = models("inspector")

    answer, seen = told(
        served,
        {
            "id": "seven",
            "parameters": {
                "sequence_id": 5,
                "sequence_start": True,
                "sequence_end": True,
                "timeout": 10_000_000,
                "mine": "text",
                "count": 3,
                "flag": True,
            },
            "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
            "outputs": [{"name": "told"}],
        },
    )

    folder = served.folder / "inspector"
    assert seen == {
        "args": {
            "model_name": "inspector",
            "model_version": "1",
            "model_repository": str(folder),
            "model_instance_name": "inspector_0_0",
            "model_instance_kind": "CPU",
            "model_instance_device_id": "0",
        },
        "batch": 4,
        "folder": str(folder / "1"),
        "id": "seven",
        "correlation": 5,
        "flags": 3,
        "timeout": 10_000_000,
        "parameters": {"mine": "text", "count": 3, "flag": True},
        "wanted": ["told"],
        "inputs": [["x", [1, 2], 11]],
        "cancelled": False,
    }
    assert answer["id"] == "seven"
    assert [output["name"] for output in answer["outputs"]] == ["told"]
    assert answer["parameters"] == {"text": "a", "number": 7, "truth": True}


def test_what_a_request_leaves_out_has_its_usual_value(models):
    _, seen = told(models("inspector"), {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}]})

    assert (seen["id"], seen["correlation"], seen["flags"], seen["timeout"]) == ("", 0, 0, 0)
    assert (seen["parameters"], seen["wanted"]) == ({}, ["more", "told"])


def test_a_sequence_may_have_a_text_for_its_id(models):
    parameters = {"sequence_id": "mine", "sequence_start": True}
    x = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}

    _, seen = told(models("inspector"), {"parameters": parameters, "inputs": [x]})

    assert (seen["correlation"], seen["flags"]) == ("mine", 1)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("UNKNOWN", 400),
        ("INTERNAL", 500),
        ("NOT_FOUND", 404),
        ("INVALID_ARG", 400),
        ("UNAVAILABLE", 503),
        ("UNSUPPORTED", 501),
        ("ALREADY_EXISTS", 400),
        ("CANCELLED", 400),
    ],
)
def test_an_error_has_the_code_that_the_model_gives_it(models, code, status):
    served = models("codes")

    with pytest.raises(ClientError, match=f"^failed as asked: {code}$") as failure:
        served.ask("codes", code=np.array([code.encode()], object))

    assert failure.value.status == status


def test_an_exception_fails_its_request_and_not_the_model(models):
    served = models("codes")

    with pytest.raises(ClientError) as failure:
        served.ask("codes", code=np.array([b"raise"], object))

    assert failure.value.status == 500
    assert str(failure.value).startswith(
        "Failed to process the request(s) for model 'codes_0_0', message: TritonModelException: I do not feel like it"
    )
    assert served.ask("codes", code=np.array([b"fine"], object))["done"].tolist() == [b"fine"]


def test_a_model_that_is_not_decoupled_may_answer_later_by_its_sender(models):
    served = models("one_sender")

    for number in range(20):
        assert served.ask("one_sender", x=np.array([number], np.float32))["y"].tolist() == [number + 1]


def test_tensors_go_to_torch_and_come_back(models):
    x = np.array([[1, 0], [0, 1], [1, 1]], np.float32)

    answer = models("torch_model").ask("torch_model", x=x)

    assert answer["y"].tolist() == [[1, 3], [2, 4], [3, 7]]
    assert answer["transposed"].tolist() == x.T.tolist()
    assert answer["half"].astype(np.float32).tolist() == [[1, 3], [2, 4], [3, 7]]
