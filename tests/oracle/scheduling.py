"""What is asked about sequences, queues and ensembles."""

import json
import re
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest, Rpc, infer, message, tensor
from oracle.meant import Meant
from oracle.suite import Question, Together


def cases() -> list[Question]:
    """Return every question about who is executed when, and by whom."""
    return [*_sequences(), *_rpc_sequences(), *_queues(), *_levels(), *_ensembles(), *_statistics()]


def _next(name: str, model: str = "direct", value: float = 1.0, **parameters: object) -> Rest:
    return infer(f"sequence: {name}", tensor([value], shape=[1, 1]), model=model, parameters=parameters)


def _sequences() -> list[Rest]:
    found = [
        _next("no id"),
        _next("id 0", sequence_id=0, sequence_start=True),
        _next("id ''", sequence_id="", sequence_start=True),
        _next("id -1", sequence_id=-1, sequence_start=True),
        _next("id 1.5", sequence_id=1.5, sequence_start=True),
        _next("id true", sequence_id=True, sequence_start=True),
        _next("start 1", sequence_id=3, sequence_start=1),
        _next("end 1", sequence_id=3, sequence_end=1),
        _next("long name", "named", sequence_id="x" * 129, sequence_start=True),
        _next("name as long as may be", "named", sequence_id="x" * 128, sequence_start=True, sequence_end=True),
    ]
    for model, id_ in (("direct", 7), ("oldest", 7), ("named", "seven"), ("named", 8), ("oldest", 2**64 - 1)):
        of = f"{model} {id_}"
        found += [
            _next(f"{of}, not begun", model, sequence_id=id_),
            _next(f"{of}, ended before it began", model, sequence_id=id_, sequence_end=True),
            _next(f"{of}, first", model, 1, sequence_id=id_, sequence_start=True),
            _next(f"{of}, second", model, 2, sequence_id=id_),
            _next(f"{of}, begun again", model, 3, sequence_id=id_, sequence_start=True),
            _next(f"{of}, last", model, 4, sequence_id=id_, sequence_end=True),
            _next(f"{of}, after the last", model, 5, sequence_id=id_),
            _next(f"{of}, only one", model, 6, sequence_id=id_, sequence_start=True, sequence_end=True),
        ]
    two = tensor([1.0, 2.0], shape=[2, 1])
    start: dict[str, Any] = {"sequence_id": 9, "sequence_start": True}
    return [
        *found,
        infer("sequence: two at once", two, model="direct", parameters=start),
        infer("sequence: two at once, with an id", two, model="direct", parameters=start, id="seven"),
        infer("sequence: no id, with an id", tensor([1.0], shape=[1, 1]), model="direct", id="seven"),
        infer("sequence: for a model without", tensor(), model="echo", parameters=start),
        _next("a name for a number", "direct", sequence_id="abc", sequence_start=True, sequence_end=True),
        infer("sequence: a control given", tensor([1.0], shape=[1, 1]), tensor([1], name="START", shape=[1, 1], datatype="INT32"),
              model="direct", parameters=start),
        Rest("sequence: metadata", "GET", "/v2/models/direct"),
    ]  # fmt: skip


def _rpc_sequences() -> list[Rpc]:
    def one(name: str, model: str = "direct", **parameters: pb.InferParameter) -> Rpc:
        request = message(model=model, given={"shape": [1, 1]}, data=[b"\0\0\x80\x3f"])
        for key, value in parameters.items():
            request.parameters[key].CopyFrom(value)
        return Rpc(f"sequence: {name}", "ModelInfer", request)

    yes, seven = pb.InferParameter(bool_param=True), pb.InferParameter(int64_param=17)
    name = pb.InferParameter(string_param="seven")
    return [
        one("no id"),
        one("not begun", sequence_id=seven),
        one("first", sequence_id=seven, sequence_start=yes),
        one("second", sequence_id=seven),
        one("last", sequence_id=seven, sequence_end=yes),
        one("unsigned", sequence_id=pb.InferParameter(uint64_param=7), sequence_start=yes),
        one("negative", "oldest", sequence_id=pb.InferParameter(int64_param=-1), sequence_start=yes, sequence_end=yes),
        one("a name", "named", sequence_id=name, sequence_start=yes, sequence_end=yes),
        one("a long name", "named", sequence_id=pb.InferParameter(string_param="x" * 129), sequence_start=yes),
        one("an empty name", "named", sequence_id=pb.InferParameter(string_param=""), sequence_start=yes),
    ]


def _queues() -> list[Question]:
    def several(name: str, model: str, count: int, **members: object) -> Together:
        return Together(
            name, [infer(str(n), tensor([1.0], shape=[1, 1]), model=model, **members) for n in range(count)]
        )

    soon = {"timeout": 100_000}
    return [
        several("queue: full", "queue", 6),
        several("queue: full, with an id", "queue", 6, id="seven"),
        several("queue: too late", "hurry", 3),
        several("queue: too late, with an id", "hurry", 3, id="seven"),
        several("queue: late is fine", "patience", 3),
        several("queue: a hurry of its own", "override", 3, parameters=soon),
        several("queue: a hurry that is not heard", "patience", 2, parameters={"timeout": 1}),
    ]


def _levels() -> list[Rest]:
    found = [infer(f"priority {n}", tensor(), model="levels", parameters={"priority": n}) for n in (0, 1, 3, 4, 2**32)]
    return [*found, infer("priority where there is none", tensor(), model="echo", parameters={"priority": 1})]


def _ensembles() -> list[Question]:
    wrong = tensor([1, 2], datatype="INT32")
    found: list[Question] = [
        *[infer(f"ensemble: {name}", tensor(), model=name) for name in ("chain", "above", "fails", "deep", "picky")],
        *[
            infer(f"ensemble: {name}, with an id", tensor(), model=name, id="seven")
            for name in ("chain", "fails", "deep", "picky")
        ],
        infer("ensemble: three rows", tensor([1, 2, 3], shape=[3, 1]), model="chain"),
        infer("ensemble: wrong type", wrong, model="chain"),
        infer("ensemble: no inputs", model="chain"),
        infer("ensemble: unknown input", tensor(name="OTHER"), model="chain"),
        infer("ensemble: unknown output", tensor(), model="chain", outputs=[{"name": "OTHER"}]),
        infer("ensemble: a tensor within", tensor(), model="chain", outputs=[{"name": "middle"}]),
        infer("ensemble: large batch", tensor(list(range(5)), shape=[5, 1]), model="chain"),
        infer("ensemble: a sequence", tensor(), model="chain", parameters={"sequence_id": 5, "sequence_start": True}),
        infer(
            "ensemble: classes",
            tensor(),
            model="chain",
            outputs=[{"name": "OUTPUT0", "parameters": {"classification": 1}}],
        ),
        Rpc("ensemble: chain", "ModelInfer", message(model="chain")),
        Rpc("ensemble: fails", "ModelInfer", message(model="fails")),
        Rpc("ensemble: fails, with an id", "ModelInfer", message(model="fails", members={"id": "seven"})),
    ]
    for path in ("", "/config", "/ready"):
        found.append(Rest(f"ensemble: GET {path}", "GET", f"/v2/models/chain{path}"))
    return [*found, *_without_a_step()]


def _without_a_step() -> list[Rest]:
    def repository(name: str, body: object = None) -> Rest:
        return Rest(f"ensemble: {name}", "POST", f"/v2/repository/{name}", json.dumps(body or {}).encode())

    asked = [Rest(f"ensemble: GET {name}", "GET", f"/v2/models/{name}/ready") for name in ("single", "picky", "chain")]
    return [
        repository("models/single/unload"),
        *asked,
        infer("ensemble: without a step", tensor(), model="picky"),
        repository("models/single/load"),
        *asked,
        infer("ensemble: with the step again", tensor([1.0], shape=[1, 1]), model="picky"),
        repository("models/picky/unload", {"parameters": {"unload_dependents": True}}),
        *asked,
        repository("models/picky/load"),
        *asked,
    ]


def _statistics() -> list[Question]:
    found: list[Question] = [
        Rest(f"statistics of {name}", "GET", f"/v2/models/{name}/stats")
        for name in ("chain", "fails", "raises", "direct", "oldest", "levels", "patience")
    ]
    return found


def _as_client(theirs: Any, ours: Any) -> bool:
    return theirs[0] in (501, "UNIMPLEMENTED") and ours[0] in (400, "INVALID_ARGUMENT") and theirs[1] == ours[1]


def _failed(theirs: Any, ours: Any) -> bool:
    counts = ours[1]["model_stats"][0]
    return bool(counts["inference_stats"]["fail"] and not counts["inference_count"])


MEANT = {
    r"(REST|gRPC) sequence: a? ?long name": Meant("a name that is too long is the client's fault", _as_client),
    r"REST sequence: named seven, .*|gRPC sequence: a name": Meant(
        "sequences may have names; the installed server gives each of them to the model twice",
        lambda theirs, ours: "unexpected number of string elements 2" in str(theirs) and ours[0] in (200, "OK"),
    ),
    r"REST sequence: named 8, .*|REST sequence: a name for a number": Meant(
        "an id that the model cannot be told is refused, and begins no sequence; the installed server makes up another",
        lambda theirs, ours: (
            ours[0] == 400
            and bool(
                re.search("sequence batching control 'CORRID' data-type is|must specify the START flag", str(ours))
            )
        ),
    ),
    r"REST ensemble: GET /config": Meant(
        "the newer server has one member more",
        lambda theirs, ours: str(ours).replace("'max_inflight_requests': 0, ", "") == str(theirs),
    ),
    r"REST statistics of (fails|raises)": Meant(
        "a request that fails has failed; the installed server counts it as a success, or not at all", _failed
    ),
    r"REST statistics of (chain|direct)": Meant(
        "the installed server loses what an ensemble counted, and has executed what is refused here",
        lambda theirs, ours: ours[1]["model_stats"][0]["inference_stats"]["success"] > 0,
    ),
}
