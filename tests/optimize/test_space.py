"""What a machine and a model allow, and what is proposed of it."""

import re

from windlass.config import parse_text
from windlass.optimize.tune.search.ladder import Lap, best_lap, next_size
from windlass.optimize.tune.search.proposals import leaders, neighbours, promised
from windlass.optimize.tune.space import OFF, Batching, Candidate, Layout, Machine, Subject, Variant, layouts, variants
from windlass.optimize.tune.space.candidate import ORIGINAL, Artefact, Step
from windlass.optimize.tune.space.configuration import configured, text

ENGINES = {"onnxruntime": "1", "openvino": "1", "pytorch": "1"}
TOOLS = {"nncf": "1", "onnx": "1", "torchao": "1"}
AMX = frozenset({"amx_bf16", "amx_int8", "avx512_vnni"})
SERVER = Machine("a server", 8, 32 << 30, AMX, ENGINES, TOOLS)
CONFIG = 'backend: "pytorch" max_batch_size: 16 input { name: "x" data_type: TYPE_FP32 dims: 4 } dynamic_batching {}'


def names(machine: Machine, engine: str = "pytorch") -> list[str]:
    return [variant.name for variant in variants(machine, Subject(engine, 16))[0]]


def test_a_processor_with_amx_gets_its_precisions_and_the_original_comes_first():
    found = names(SERVER)
    assert found[0] == "pytorch as it is"
    assert {"openvino bf16", "openvino int8+bf16", "openvino fp32", "onnxruntime int8-dynamic"} <= set(found)


def test_what_the_processor_lacks_is_left_out_with_the_reason():
    plain = Machine("an old one", 4, 8 << 30, frozenset(), ENGINES, TOOLS)
    found, unfit = variants(plain, Subject("pytorch", 16))
    assert not any("bf16" in variant.name for variant in found)
    assert "openvino int8" in [variant.name for variant in found]
    reasons = {entry.name: entry.reason for entry in unfit}
    assert "no bf16 arithmetic" in reasons["openvino bf16"]


def test_engines_and_tools_that_are_not_installed_are_named_with_what_installs_them():
    bare = Machine("a server", 8, 32 << 30, AMX, {"onnxruntime": "1"}, {"onnx": "1"})
    found, unfit = variants(bare, Subject("onnxruntime", 16))
    assert [variant.name for variant in found][:2] == ["onnxruntime as it is", "onnxruntime int8-dynamic"]
    assert any(re.search(r"pip install 'windlass\[openvino\]'", entry.reason) for entry in unfit)


def test_gpus_join_the_space_where_there_are_any():
    providers = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    found = names(Machine("a server", 8, 32 << 30, AMX, ENGINES, TOOLS, providers, ("H200",)))
    assert {"onnxruntime fp16 on tensorrt", "onnxruntime fp16 on cuda", "pytorch bf16 on cuda"} <= set(found)
    assert not any("cuda" in name for name in names(SERVER))


def test_a_model_that_is_code_has_its_own_engine_only():
    assert names(SERVER, "python") == ["python as it is"]


def test_layouts_use_all_cores_and_no_more():
    assert [(layout.instances, layout.threads) for layout in layouts(SERVER, "cpu")] == [(1, 8), (2, 4), (4, 2), (8, 1)]
    assert [layout.name for layout in layouts(Machine("", 1, 0), "cpu")] == ["1 x 1 thread"]


def test_batches_are_doubled_while_a_sample_gets_cheaper():
    laps: list[Lap] = []
    rates = {1: 100, 2: 180, 4: 300, 8: 400, 16: 402, 32: 401, 64: 500}
    while (size := next_size(laps, most=64)) is not None:
        laps.append(Lap(size, rates[size], size / rates[size]))
    assert [lap.size for lap in laps] == [1, 2, 4, 8, 16, 32]
    assert best_lap(laps).size == 8
    assert best_lap(laps, limit_s=0.03).size == 4


def test_a_batch_that_takes_longer_than_the_limit_is_not_tried():
    assert next_size([Lap(8, 100, 0.08)], most=64, limit_s=0.1) is None
    assert next_size([Lap(8, 100, 0.08)], most=8) is None


def test_batching_is_proposed_only_where_a_loop_gains_by_it():
    layout = Layout(1, 8)
    flat = {(Variant("openvino", ORIGINAL), layout): [Lap(1, 100, 0.01), Lap(2, 101, 0.02)]}
    rising = {(Variant("openvino", ORIGINAL), layout): [Lap(1, 100, 0.01), Lap(8, 400, 0.02)]}
    assert [candidate.batching for candidate, _ in promised(flat, None)] == [OFF]
    assert [candidate.batching for candidate, _ in promised(rising, None)] == [Batching(8), OFF]


def test_engines_of_tiny_models_promise_about_the_same():
    layout = Layout(1, 8)
    quick = {
        (Variant("a", ORIGINAL), layout): [Lap(1, 4e6, 1e-6)],
        (Variant("b", ORIGINAL), layout): [Lap(1, 5e5, 1e-6)],
    }
    (_, best), (_, other) = promised(quick, None)
    assert other > 0.8 * best


def test_leaders_are_of_several_engines_and_none_is_hopeless():
    def of(engine: str, instances: int, size: int) -> Candidate:
        return Candidate(Variant(engine, ORIGINAL), Layout(instances, 1), Batching(size) if size > 1 else OFF)

    promises = [(of("a", 1, 8), 100.0), (of("a", 2, 8), 98.0), (of("a", 1, 1), 90.0), (of("b", 1, 8), 70.0),
                (of("c", 1, 8), 20.0)]  # fmt: skip
    assert leaders(promises, 3) == [of("a", 1, 8), of("a", 2, 8), of("b", 1, 8)]
    assert len(leaders(promises, 9)) == 4


def test_neighbours_differ_in_one_thing():
    leader = Candidate(Variant("openvino", ORIGINAL), Layout(1, 8), Batching(8))
    found = neighbours(leader, layouts(SERVER, "cpu")[:2], pass_s=0.020)
    assert {other.batching for other in found if other.layout == leader.layout} == {
        Batching(8, 2000), Batching(8, 10000), Batching(16), Batching(4), OFF
    }  # fmt: skip
    assert [other.layout for other in found if other.layout != leader.layout] == [Layout(2, 4)]
    assert neighbours(leader, [], 0.02, batchable=False) == []


def test_a_candidate_is_written_as_a_configuration():
    variant = Variant("openvino", Artefact((Step("export", "openvino"),)), "bf16")
    made = configured(parse_text(CONFIG, "config.pbtxt"), Candidate(variant, Layout(2, 4), Batching(8, 500)))
    again = parse_text(text(made), "config.pbtxt")
    assert (again.backend, again.max_batch_size) == ("openvino", 16)
    assert again.parameters["INFERENCE_PRECISION_HINT"].string_value == "bf16"
    assert again.parameters["INFERENCE_NUM_THREADS"].string_value == "8"
    assert again.instance_group[0].count == 2
    assert list(again.dynamic_batching.preferred_batch_size) == [8]
    assert again.dynamic_batching.max_queue_delay_microseconds == 500


def test_one_by_one_means_no_dynamic_batching_and_the_same_largest_request():
    made = configured(parse_text(CONFIG, "config.pbtxt"), Candidate(Variant("pytorch", ORIGINAL), Layout(1, 8), OFF))
    assert not made.HasField("dynamic_batching")
    assert made.max_batch_size == 16


def test_the_original_as_configured_keeps_every_word():
    base = parse_text(CONFIG, "config.pbtxt")
    assert configured(base, Candidate(Variant("pytorch", ORIGINAL))) == base
