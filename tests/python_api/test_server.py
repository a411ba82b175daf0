"""What models ask of their server: other models, metrics, the log, loading and unloading."""

import logging

import httpx
import numpy as np
import pytest

from windlass import ClientError

ROW = np.array([[1.0, 2.0]], np.float32)


def named(model: str) -> np.ndarray:
    return np.array([model.encode()], object)


def test_a_model_asks_another(models):
    served = models("bls", "auto_complete")

    assert served.ask("bls", x=ROW, model=named("auto_complete"))["y"].tolist() == [[3, 5]]


def test_what_the_other_model_says_goes_wrong_is_told(models):
    served = models("bls", "auto_complete")

    with pytest.raises(ClientError, match="Model 'nowhere' is not ready"):
        served.ask("bls", x=ROW, model=named("nowhere"))
    with pytest.raises(ClientError, match="unexpected inference output 'y'|inference"):
        served.ask("bls", x=ROW, model=named("bls"))
    assert served.ask("bls", x=ROW, model=named("auto_complete"))["y"].tolist() == [[3, 5]]


def test_a_coroutine_asks_many_at_once(models):
    served = models("bls_async", "auto_complete")

    assert served.ask("bls_async", x=ROW)["y"].tolist() == [[20, 40]]


def test_a_model_hands_on_the_answers_of_a_decoupled_one(models):
    served = models("bls_stream", "repeat")
    given = {"IN": np.array([1, -2, 3], np.int32), "DELAY": np.ones(3, np.uint32)}

    assert served.stream("bls_stream", **given) == [[10], "-2 is negative", [30]]


def test_a_coroutine_adds_up_the_answers_of_a_decoupled_model(models):
    served = models("bls_sum", "repeat")
    given = {"IN": np.arange(50, dtype=np.int32), "DELAY": np.zeros(50, np.uint32)}

    assert served.ask("bls_sum", **given)["OUT"].tolist() == [sum(range(50))]


def test_a_model_leads_a_sequence_of_another(models):
    served = models("sequence_caller", "accumulate")

    assert served.ask("sequence_caller", x=np.zeros(1, np.float32))["y"].tolist() == [1, 3, 6]


def test_metrics_of_models_are_on_the_servers_page(models):
    served = models("metrics")

    served.ask("metrics", x=np.array([0.5], np.float32))
    seen = served.ask("metrics", x=np.array([20], np.float32))["seen"]
    page = httpx.get(f"http://{served.server.addresses['metrics']}/metrics").text.splitlines()

    assert seen.tolist() == [2, 20]
    labels = '{model="metrics",version="1"}'
    for line in ("# HELP model_calls Calls of the model", "# TYPE model_calls counter", "# TYPE model_sizes histogram"):
        assert line in page
    assert {f"model_calls{labels} 2", f"model_level{labels} 20"} <= set(page)
    counted = [line.rsplit(" ", 1)[1] for line in page if line.startswith("model_sizes_bucket")]
    assert counted == ["1", "1", "2"]


def test_a_model_writes_to_the_servers_log(models, caplog, mode):
    caplog.set_level(logging.DEBUG)
    served = models("logs")

    served.ask("logs", x=np.zeros(1, np.float32))
    served.close()
    served.server.stop()

    lines = {(record.levelname, record.getMessage()) for record in caplog.records if "logs:" in record.getMessage()}
    assert lines == {
        ("INFO", "logs: imported"),
        ("WARNING", "logs: initialised as logs_0_0"),
        ("ERROR", "logs: executed"),
        ("DEBUG", "logs: in detail"),
        ("INFO", "logs: in general"),
        ("ERROR", "logs: at a level"),
        ("INFO", "logs: said goodbye"),
    }


def test_a_model_loads_and_unloads_another(models):
    served = models("loader", "auto_complete", control_mode="explicit", models=("loader",))

    answer = served.ask("loader", x=np.zeros(1, np.float32))

    assert answer["seen"].tolist() == [False, True, False, False, True]
