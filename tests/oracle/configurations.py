"""What both servers are asked to load: every field of a configuration that a model can be refused for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oracle.cases import Rest
from oracle.meant import Meant
from oracle.repository import ECHO

_ONE = {"data_type": "TYPE_FP32", "dims": [2]}
_IN = {"name": "INPUT0", **_ONE}
_OUT = {"name": "OUTPUT0", **_ONE}

_BASE: dict[str, Any] = {
    "backend": "python",
    "max_batch_size": 4,
    "input": [_IN],
    "output": [_OUT],
    "instance_group": [{"kind": "KIND_CPU"}],
}


def write_models(folder: Path) -> None:
    """Write one model, that every configuration is tried on, and one that ensembles may have as a step."""
    for name in ("tried", "step"):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(ECHO)
        (folder / name / "config.pbtxt").write_text(
            'backend: "python" max_batch_size: 4 input { name: "INPUT0" data_type: TYPE_FP32 dims: 2 }\n'
            'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 2 } instance_group { kind: KIND_CPU }\n'
        )


def cases() -> list[Rest]:
    """Return a load request for every configuration, and what came of those that are fine."""
    asked: list[Rest] = []
    for name, changes in _changes().items():
        config = {key: value for key, value in (_BASE | changes).items() if value is not None}
        body = json.dumps({"parameters": {"config": json.dumps(config)}}).encode()
        asked.append(Rest(name, "POST", "/v2/repository/models/tried/load", body))
        if name.startswith("fine"):
            asked.append(Rest(f"{name}, as it is", "GET", "/v2/models/tried/config"))
    return asked


def _changes() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in (_model, _tensors, _batching, _queues, _sequences, _states, _instances, _batch_inputs, _ensembles):
        for name, changes in part():
            found[name] = changes
    return found


_Changes = Iterator[tuple[str, dict[str, Any]]]


def _model() -> _Changes:
    yield "fine: nothing changed", {}
    yield "no backend", {"backend": None}
    yield "an unknown platform", {"backend": None, "platform": "caffe"}
    yield "a platform of another backend", {"platform": "onnxruntime_onnx"}
    yield "an unknown backend", {"backend": "fortran"}
    yield "a negative batch size", {"max_batch_size": -1}
    yield "fine: no batches", {"max_batch_size": 0}
    yield "fine: every version", {"version_policy": {"all": {}}}
    yield "fine: no version in latest", {"version_policy": {"latest": {"num_versions": 0}}}
    yield "fine: parameters", {"parameters": {"a": {"string_value": "b"}}, "metric_tags": {"team": "x"}}
    yield "fine: optimization", {"optimization": {"priority": "PRIORITY_MAX", "input_pinned_memory": {"enable": False}}}
    yield (
        "a cache for a decoupled model",
        {
            "response_cache": {"enable": True},
            "model_transaction_policy": {"decoupled": True},
        },
    )
    yield "a cache for sequences", {"response_cache": {"enable": True}, "sequence_batching": {}}


def _tensors() -> _Changes:
    for kind, tensor in (("input", _IN), ("output", _OUT)):

        def changed(kind: str = kind, tensor: dict[str, Any] = tensor, **changes: object) -> dict[str, Any]:
            return {kind: [{key: value for key, value in {**tensor, **changes}.items() if value is not None}]}

        yield f"{kind} without a name", changed(name=None)
        yield f"{kind} without a type", changed(data_type=None)
        yield f"{kind} without dimensions", changed(dims=None)
        yield f"{kind} of no elements", changed(dims=[0])
        yield f"{kind} of negative dimensions", changed(dims=[-2])
        yield f"{kind} reshaped to another size", changed(reshape={"shape": [3]})
        yield f"{kind} reshaped to less than nothing", changed(reshape={"shape": [-2]})
        yield f"{kind} reshaped to nothing in particular", changed(dims=[-1, 2], reshape={"shape": [2]})
        yield f"{kind} reshaped to a scalar", {"max_batch_size": 0, **changed(dims=[1], reshape={"shape": []})}
        yield f"{kind} for shapes", changed(is_shape_tensor=True)
        yield f"no {kind}", {kind: []}
        yield f"{kind} twice", {kind: [tensor, tensor]}
    yield "fine: reshaped", {"input": [{**_IN, "dims": [4], "reshape": {"shape": [2, 2]}}]}
    yield "fine: reshaped to a scalar", {"input": [{**_IN, "dims": [1], "reshape": {"shape": []}}]}
    yield "an image of two dimensions", {"input": [{**_IN, "format": "FORMAT_NHWC", "dims": [1, 2]}]}
    yield "fine: an image", {"input": [{**_IN, "format": "FORMAT_NCHW", "dims": [1, 2, 3]}]}
    yield "fine: optional", {"input": [_IN, {**_IN, "name": "MAYBE", "optional": True}]}


def _batching() -> _Changes:
    def batching(**members: object) -> dict[str, Any]:
        return {"dynamic_batching": members}

    yield "fine: batches", batching()
    yield "fine: batches of two", batching(preferred_batch_size=[2], max_queue_delay_microseconds=100)
    yield "preferred size of nothing", batching(preferred_batch_size=[0])
    yield "preferred size below nothing", batching(preferred_batch_size=[-1])
    yield "preferred size too large", batching(preferred_batch_size=[5])
    yield "fine: batches without batches", {"max_batch_size": 0, **batching()}
    yield "default priority without levels", batching(default_priority_level=1)
    yield "no default priority", batching(priority_levels=2)
    yield "default priority out of range", batching(priority_levels=2, default_priority_level=3)
    yield "fine: priorities", batching(priority_levels=2, default_priority_level=1)
    levels = {"priority_levels": 2, "default_priority_level": 1}
    yield "policy for no level", batching(**levels, priority_queue_policy={"3": {"max_queue_size": 1}})
    yield "policy for level nothing", batching(**levels, priority_queue_policy={"0": {"max_queue_size": 1}})
    yield "priorities in order", batching(**levels, preserve_ordering=True)
    yield "one priority in order", batching(priority_levels=1, default_priority_level=1, preserve_ordering=True)


def _queues() -> _Changes:
    delay = {"timeout_action": "DELAY", "default_timeout_microseconds": 1}
    yield "delayed in order", {"dynamic_batching": {"preserve_ordering": True, "default_queue_policy": delay}}
    yield (
        "one level delayed in order",
        {
            "dynamic_batching": {
                "preserve_ordering": True,
                "priority_levels": 1,
                "default_priority_level": 1,
                "priority_queue_policy": {"1": delay},
            }
        },
    )
    yield "fine: delayed", {"dynamic_batching": {"default_queue_policy": delay}}
    yield (
        "fine: every member of a policy",
        {
            "dynamic_batching": {
                "priority_levels": 2,
                "default_priority_level": 2,
                "default_queue_policy": {**delay, "allow_timeout_override": True, "max_queue_size": 7},
                "priority_queue_policy": {"1": {"max_queue_size": 3}},
            }
        },
    )


def _control(name: str, kind: str, **members: object) -> dict[str, Any]:
    return {"name": name, "control": [{"kind": f"CONTROL_SEQUENCE_{kind}", **members}]}


def _sequences() -> _Changes:
    def sequences(*controls: dict[str, Any], **members: object) -> dict[str, Any]:
        return {"sequence_batching": {"control_input": list(controls), **members}}

    pair = {"int32_false_true": [0, 1]}
    yield "fine: sequences", sequences()
    yield "fine: sequences by age", sequences(oldest={"max_candidate_sequences": 4})
    yield "fine: sequences in slots", sequences(direct={"minimum_slot_utilization": 0.5})
    yield (
        "fine: controls",
        sequences(
            _control("S", "START", **pair),
            _control("E", "END", fp32_false_true=[0, 1]),
            _control("R", "READY", bool_false_true=[False, True]),
            _control("C", "CORRID", data_type="TYPE_UINT64"),
        ),
    )
    yield "a control without a name", sequences(_control("", "START", **pair))
    yield "two controls of one name", sequences(_control("S", "START", **pair), _control("S", "END", **pair))
    yield "two controls of one kind", sequences(_control("S", "START", **pair), _control("T", "START", **pair))
    yield "a control without values", sequences(_control("S", "START"))
    yield "a control of two kinds of values", sequences(_control("S", "START", **pair, fp32_false_true=[0, 1]))
    for values in ([0], [0, 1, 2]):
        yield f"a control of {len(values)} values", sequences(_control("S", "START", int32_false_true=values))
        yield f"a control of {len(values)} fractions", sequences(_control("S", "START", fp32_false_true=values))
        truths = [bool(value) for value in values]
        yield f"a control of {len(values)} truths", sequences(_control("S", "START", bool_false_true=truths))
    yield "an id of fractions", sequences(_control("C", "CORRID", data_type="TYPE_FP32"))
    yield "an id without a type", sequences(_control("C", "CORRID"))
    yield "an id of values", sequences(_control("C", "CORRID", data_type="TYPE_UINT64", **pair))
    yield "two ids", sequences(*(_control(name, "CORRID", data_type="TYPE_UINT64") for name in "CD"))
    yield "oldest of nothing preferred", sequences(oldest={"max_candidate_sequences": 4, "preferred_batch_size": [0]})
    yield "oldest of too many preferred", sequences(oldest={"max_candidate_sequences": 4, "preferred_batch_size": [9]})
    yield "slots of nothing used", sequences(direct={"minimum_slot_utilization": -0.5})
    yield "slots used too much", sequences(direct={"minimum_slot_utilization": 1.5})
    yield (
        "sequences of decoupled answers in order",
        {
            "model_transaction_policy": {"decoupled": True},
            **sequences(oldest={"max_candidate_sequences": 4, "preserve_ordering": True}),
        },
    )


def _states() -> _Changes:
    def states(*initial: dict[str, Any], **changes: object) -> dict[str, Any]:
        full = {"input_name": "SI", "output_name": "SO", **_ONE, "initial_state": list(initial), **changes}
        return {"sequence_batching": {"state": [{key: value for key, value in full.items() if value is not None}]}}

    zero = {"name": "zeroes", **_ONE, "zero_data": True}
    yield "fine: a state", states()
    yield "fine: a state of zeroes", states(zero)
    yield "a state without an input", states(input_name=None)
    yield "a state without an output", states(output_name=None)
    yield "a state without a type", states(data_type=None)
    yield "a state of negative dimensions", states(dims=[-2])
    yield "a state of two beginnings", states(zero, zero)
    yield "a beginning without a name", states({**zero, "name": ""})
    yield "a beginning of another type", states({**zero, "data_type": "TYPE_INT32"})
    yield "a beginning of another rank", states({**zero, "dims": [2, 2]})
    yield "a beginning of another size", states({**zero, "dims": [3]})
    yield "a beginning of no size", states({**zero, "dims": [-1]})
    yield "a beginning of nothing", states({key: value for key, value in zero.items() if key != "zero_data"})
    yield "a beginning that is nowhere", states({"name": "file", **_ONE, "data_file": "nothing"})


def _instances() -> _Changes:
    def group(**members: object) -> dict[str, Any]:
        return {"instance_group": [members]}

    yield "fine: two instances", group(kind="KIND_CPU", count=2)
    yield "fine: two groups", {"instance_group": [{"kind": "KIND_CPU"}, {"kind": "KIND_CPU", "name": "other"}]}
    yield "instances on a GPU", group(kind="KIND_GPU")
    yield "instances on a GPU that is named", group(kind="KIND_GPU", gpus=[0])
    yield "instances on the CPU with a GPU", group(kind="KIND_CPU", gpus=[0])
    yield "instances anywhere with a GPU", group(kind="KIND_MODEL", gpus=[0])
    yield "fewer instances than none", group(kind="KIND_CPU", count=-1)


def _batch_inputs() -> _Changes:
    def batch_input(**changes: object) -> dict[str, Any]:
        one = {
            "kind": "BATCH_ELEMENT_COUNT",
            "target_name": ["N"],
            "data_type": "TYPE_INT32",
            "source_input": ["INPUT0"],
        }
        return {"input": [{**_IN, "dims": [-1], "allow_ragged_batch": True}], "batch_input": [{**one, **changes}]}

    def batch_output(**changes: object) -> dict[str, Any]:
        one = {"target_name": ["OUTPUT0"], "kind": "BATCH_SCATTER_WITH_INPUT_SHAPE", "source_input": ["INPUT0"]}
        return {"batch_output": [{**one, **changes}]}

    yield "fine: counted elements", batch_input()
    yield "counted elements of nothing", batch_input(source_input=[])
    yield "counted elements of two", batch_input(source_input=["INPUT0", "INPUT0"])
    yield "counted elements of the unknown", batch_input(source_input=["OTHER"])
    yield "counted elements as text", batch_input(data_type="TYPE_STRING")
    yield "counted elements for nobody", batch_input(target_name=[])
    yield "scattered from nothing", batch_output(source_input=[])
    yield "scattered from the unknown", batch_output(source_input=["OTHER"])
    yield "scattered to the unknown", batch_output(target_name=["OTHER"])
    yield "scattered twice", batch_output(target_name=["OUTPUT0", "OUTPUT0"])


def _step(model: object = "step", **changes: object) -> dict[str, Any]:
    full = {"model_name": model, "model_version": -1, "input_map": {"INPUT0": "A"}, "output_map": {"OUTPUT0": "Z"}}
    return {key: value for key, value in {**full, **changes}.items() if value is not None}


def _ensembles() -> _Changes:
    def ensemble(*steps: dict[str, Any], **changes: object) -> dict[str, Any]:
        whole = {"backend": None, "platform": "ensemble", "instance_group": None}
        tensors = {"input": [{"name": "A", **_ONE}], "output": [{"name": "Z", **_ONE}]}
        return {**whole, **tensors, "ensemble_scheduling": {"step": list(steps)}, **changes}

    yield "fine: an ensemble", ensemble(_step())
    yield "an ensemble without steps", ensemble()
    yield "an ensemble of nothing", ensemble(ensemble_scheduling=None)
    yield "steps that are no ensemble", {"ensemble_scheduling": {"step": [_step()]}}
    yield "an ensemble with a backend", ensemble(_step(), backend="python")
    yield "a step without a model", ensemble(_step(None))
    yield "a step without inputs", ensemble(_step(input_map=None))
    yield "a step without outputs", ensemble(_step(output_map=None))
    yield "a step of an unknown model", ensemble(_step("nope"))
    yield "a step of an unknown version", ensemble(_step(model_version=9))
    yield "a step of an unknown input", ensemble(_step(input_map={"OTHER": "A"}))
    yield "a step of an unknown output", ensemble(_step(output_map={"OTHER": "Z"}))
    yield "a step of itself", ensemble(_step("tried"))
    yield "an ensemble that does not read", ensemble(_step(input_map={"INPUT0": "B"}))
    yield "an ensemble that does not write", ensemble(_step(output_map={"OUTPUT0": "Y"}))
    yield "an output written twice", ensemble(_step(), _step())
    yield "two inputs for one", ensemble(_step(input_map={"INPUT0": "A"}), _step(input_map={"INPUT0": "Z"}))
    yield (
        "an ensemble of another type",
        ensemble(_step(), input=[{"name": "A", "data_type": "TYPE_INT32", "dims": [2]}]),
    )
    yield (
        "an ensemble of another shape",
        ensemble(_step(), input=[{"name": "A", "data_type": "TYPE_FP32", "dims": [3]}]),
    )
    yield "an ensemble of larger batches", ensemble(_step(), max_batch_size=8)
    yield "an ensemble without batches", ensemble(_step(), max_batch_size=0)
    yield "an ensemble of instances", ensemble(_step(), instance_group=[{"kind": "KIND_CPU"}])
    yield "an ensemble that is optimized", ensemble(_step(), optimization={"priority": "PRIORITY_MAX"})
    yield (
        "an ensemble that is warmed up",
        ensemble(_step(), model_warmup=[{"name": "w", "batch_size": 1, "inputs": {"A": {**_ONE, "zero_data": True}}}]),
    )


def _told(theirs: Any, ours: Any) -> bool:
    """The real server says in its log what windlass says in its answer, where it may say more."""
    return len(theirs) == 3 and ours[0] == 400 and theirs[2] in ours[1]["error"]


def _refused(theirs: Any, ours: Any) -> bool:
    return theirs[0] == 200 and ours[0] == 400


MEANT = {
    r"REST an ensemble that does not (read|write)": Meant(
        "a stray quote is gone, and all that is wrong is told",
        lambda theirs, ours: theirs[2].replace("tried'", "tried") in ours[1]["error"],
    ),
    r"REST instances (on|anywhere) .*": Meant(
        "a model that could not be changed did not load; the real server says that it is ready",
        lambda theirs, ours: theirs[1]["error"] == ours[1]["error"].replace("UNAVAILABLE", "READY"),
    ),
    r"REST a platform of another backend": Meant("a configuration that contradicts itself is refused", _refused),
    r"REST a state without .*|REST a state of negative dimensions": Meant(
        "a state that cannot be kept is refused", _refused
    ),
    r"REST a beginning that is nowhere": Meant(
        "what the configuration names is at fault, not the server",
        lambda theirs, ours: theirs[1]["error"].replace("Internal", "Invalid argument") == ours[1]["error"],
    ),
    r"REST (?!fine).*": Meant(
        "the answer says why a configuration is refused; the real server tells its log, and 500 to the client", _told
    ),
    r"REST fine: no version in latest(, as it is)?": Meant(
        "the newer server takes no number for one version",
        lambda theirs, ours: ours[0] == 200,
    ),
    r"REST fine: an ensemble, as it is": Meant(
        "the newer server has one member more",
        lambda theirs, ours: "max_inflight_requests" in str(ours) and "max_inflight_requests" not in str(theirs),
    ),
}
