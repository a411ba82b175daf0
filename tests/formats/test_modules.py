"""Code that builds modules, and weights that belong to it."""

import pytest
import torch
from safetensors.torch import save_file

from formats.conftest import without_warnings
from windlass.errors import UsageError
from windlass.formats import find, parse_input


def dims(tensors):
    return {one.name: list(one.dims) for one in tensors}


def test_a_module_becomes_an_exported_program_with_an_open_batch(modules, add):
    # Nobody says what it takes: the first of its layers does.
    added = add(f"{modules}:picture")
    assert (added.entry.versions[1] / "model.pt2").is_file()
    assert dims(added.config.input) == {"image": [3, -1, -1]}
    assert dims(added.config.output) == {"output__0": [2]}
    assert added.config.max_batch_size == 16
    assert added.config.HasField("dynamic_batching")


def test_example_inputs_of_the_file_say_what_it_takes(modules, add):
    source = modules.read_text() + "\n\ndef example_inputs():\n    return torch.zeros(1, 7, dtype=torch.int64)\n"
    modules.write_text(source)
    added = add(f"{modules}:words")
    # The length of a text is open, and what is nested is named by the way to it.
    assert dims(added.config.input) == {"ids": [-1]}
    assert dims(added.config.output) == {"logits": [3], "hidden.output__0": [-1, 8]}


def test_optional_arguments_are_inputs_when_they_are_named(modules, add):
    said = (parse_input("mask:INT64[-1,-1]"), parse_input("ids:INT64[-1,-1]"))
    assert list(dims(add(f"{modules}:words", inputs=said).config.input)) == ["ids", "mask"]


def test_control_flow_by_values_is_kept_as_torchscript_where_that_is_right(modules, add):
    added = add(f"{modules}:branch")
    assert (added.entry.versions[1] / "model.pt").is_file()
    assert not (added.entry.versions[1] / "model.pt2").exists()
    assert "kept as TorchScript" in added.notes[0]
    assert dims(added.config.output) == {"output__0": [4]}
    with without_warnings():
        assert [one.shape for one in find(f"{modules}:branch").inspect().outputs] == [(-1, 4)]


def test_control_flow_that_nothing_follows_is_told_with_its_line(modules, add, tmp_path):
    with pytest.raises(UsageError, match="its control flow depends on the values of tensors") as refused:
        add(f"{modules}:decides", inputs=(parse_input("x:FP32[-1,4]"),))
    assert "nets.py:" in refused.value.found
    assert "float(y.sum()) > 0" in refused.value.found
    assert "torch.where" in refused.value.hint
    assert not (tmp_path / "models").exists()


def test_a_batch_that_the_code_fixes_is_no_batch(modules, add):
    added = add(f"{modules}:fixed", inputs=(parse_input("x:FP32[-1,4]"),))
    assert added.config.max_batch_size == 0
    assert dims(added.config.input) == {"x": [2, 4]}
    assert "the batch of `x` is always 2" in added.notes[0]


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        ("broken", r"`broken\(\)` raised ValueError: the checkpoint is not there"),
        ("leaves", r"`leaves\(\)` raised SystemExit: 3"),
        ("number", "builds no module"),
        ("nobody", "has no `nobody`"),
        ("decides", "does not tell its inputs"),
    ],
)
def test_a_builder_that_builds_nothing_is_told(modules, add, builder, said):
    with pytest.raises(UsageError, match=said):
        add(f"{modules}:{builder}")


def test_a_file_that_does_not_import_is_told_with_its_line(tmp_path, add):
    (tmp_path / "net.py").write_text("import torch\nimport nothing_of_that_name\n")
    with pytest.raises(UsageError, match="No module named 'nothing_of_that_name'") as refused:
        add(tmp_path / "net.py")
    assert "net.py:2" in refused.value.found
    (tmp_path / "net.py").write_text("def build(:\n")
    with pytest.raises(UsageError, match="SyntaxError") as refused:
        add(tmp_path / "net.py")
    assert "net.py:1" in refused.value.found


def test_example_inputs_that_do_not_fit_are_told(modules, add):
    source = modules.read_text()
    modules.write_text(source + "\n\ndef example_inputs():\n    return torch.zeros(1, 7, dtype=torch.int64), 1, 2\n")
    with pytest.raises(UsageError, match="has 3 tensors"):
        add(f"{modules}:words")
    modules.write_text(source + "\n\ndef example_inputs():\n    return {'image': torch.zeros(1, 3, 2, 2)}\n")
    with pytest.raises(UsageError, match="fails on its example inputs"):
        add(f"{modules}:picture")


def _module(modules, name):
    space = {}
    exec(modules.read_text(), space)
    return space[name]()


def test_weights_go_into_the_module_they_belong_to(modules, add, tmp_path):
    state = _module(modules, "Picture").state_dict()
    with torch.no_grad():
        for weight in state.values():
            weight.zero_()
        state["layers.4.bias"].copy_(torch.tensor([1.0, -2.0]))
    # What was saved from several GPUs says so in every name.
    save_file({f"module.{name}": weight for name, weight in state.items()}, tmp_path / "net.safetensors")

    added = add(tmp_path / "net.safetensors", architecture=f"{modules}:picture")

    loaded = torch.export.load(added.entry.versions[1] / "model.pt2").module()
    assert loaded(torch.ones(1, 3, 9, 9)).tolist() == [[1.0, -2.0]]
    # A model that says the same to everything deserves a word.
    assert [finding.severity for finding in added.findings] == ["warning"]


def test_a_state_of_pytorch_is_weights_too(modules, add, tmp_path):
    state = _module(modules, "Picture").state_dict()
    torch.save(state, tmp_path / "net.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert find(tmp_path / "old.pth").inspect().precisions == {"FP32": 122}
    assert add(tmp_path / "net.pth", architecture=f"{modules}:picture").version == 1


def test_weights_that_do_not_fit_are_told(modules, add, tmp_path):
    save_file({"other": torch.ones(3)}, tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match="do not fit") as refused:
        add(tmp_path / "net.safetensors", architecture=f"{modules}:picture")
    assert "other" in refused.value.found
    with pytest.raises(UsageError, match="not the module that they belong to"):
        add(tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match="is not there"):
        add(tmp_path / "net.safetensors", architecture="nowhere.py:build")


def test_a_whole_module_in_a_pickle_is_not_loaded(modules, add, tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pt")
    with pytest.raises(UsageError, match="would be to run code that is in it") as refused:
        add(tmp_path / "net.pt", architecture=f"{modules}:picture")
    assert "state_dict" in refused.value.hint
