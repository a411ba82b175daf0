"""Folders as Hugging Face's libraries write them: tiny models with random weights, built by transformers itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from formats.conftest import without_warnings
from windlass.errors import UsageError
from windlass.formats import Given, find

BERT = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def saved(folder: Path, name: str, config: str, **sizes: object) -> Path:
    with without_warnings():
        import transformers

        torch.manual_seed(0)
        getattr(transformers, name)(getattr(transformers, config)(**sizes)).save_pretrained(folder)
    return folder


def names(tensors):
    return {one.name: list(one.dims) for one in tensors}


def test_a_text_classifier_takes_texts_of_any_length(tmp_path, add):
    folder = saved(tmp_path / "classifier", "BertForSequenceClassification", "BertConfig", num_labels=3, **BERT)
    added = add(folder)
    assert names(added.config.input) == {"input_ids": [-1], "attention_mask": [-1], "token_type_ids": [-1]}
    assert names(added.config.output) == {"logits": [3]}
    assert (added.entry.versions[1] / "model.pt2").is_file()


def test_an_image_classifier_takes_images_of_its_size(tmp_path, add):
    sizes = {"image_size": 16, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    folder = saved(tmp_path / "vit", "ViTForImageClassification", "ViTConfig", intermediate_size=32, **sizes)
    added = add(folder)
    assert names(added.config.input) == {"pixel_values": [3, 16, 16]}
    assert names(added.config.output) == {"logits": [2]}


def test_a_folder_of_sentence_transformers_embeds_sentences(tmp_path, add):
    folder = saved(tmp_path / "sentences", "BertModel", "BertConfig", **BERT)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    steps = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))

    added = add(folder)

    assert names(added.config.output) == {"sentence_embedding": [16]}
    served = torch.export.load(added.entry.versions[1] / "model.pt2").module()
    ids, mask = torch.tensor([[5, 6, 7, 0]]), torch.tensor([[1, 1, 1, 0]])
    with torch.no_grad():
        made = served(ids, mask)["sentence_embedding"].numpy()
        # What does not count does not matter, and neither does what it is called with.
        short = served(ids[:, :3], mask[:, :3])["sentence_embedding"].numpy()
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(made, short, atol=1e-5)


def test_weights_that_would_be_random_are_refused(tmp_path):
    folder = saved(tmp_path / "bert", "BertModel", "BertConfig", **BERT)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    with without_warnings(), pytest.raises(UsageError, match="which would be random") as refused:
        find(folder).write(tmp_path)
    assert "classifier" in refused.value.found


def test_a_folder_with_code_of_its_own_asks_for_trust(tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "odd.Odd"}}))
    with without_warnings(), pytest.raises(UsageError, match="brings Python code of its own") as refused:
        find(folder).inspect()
    assert "--trust" in refused.value.hint
    assert refused.value.found == "odd.Odd"


def test_a_configuration_that_nobody_can_read_is_told(tmp_path):
    folder = saved(tmp_path / "bert", "BertModel", "BertConfig", **BERT)
    (folder / "config.json").write_text("{")
    with without_warnings(), pytest.raises(UsageError, match="cannot be read"):
        find(folder).inspect()
    (folder / "config.json").write_text('{"model_type": "nothing-like-that"}')
    with without_warnings(), pytest.raises(UsageError, match="transformers cannot build it"):
        find(folder, Given(trust=True)).inspect()
