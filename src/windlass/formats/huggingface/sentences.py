"""Embeddings of sentences: what ``modules.json`` of a sentence-transformers folder puts behind its transformer."""

import inspect
import json
from pathlib import Path
from typing import Any

from windlass.formats.pytorch.types import torch

OUTPUT = "sentence_embedding"


def is_one(folder: Path) -> bool:
    """Tell whether a folder says how sentences are embedded."""
    return (folder / "modules.json").is_file()


def embed(model: Any, folder: Path) -> str:
    """Have a model return one embedding for each sentence, and say so; where that is not known here, say that."""
    steps = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    kinds = [str(step["type"]).rpartition(".")[2] for step in steps]
    modes = [_mode(folder / step["path"]) for step, kind in zip(steps, kinds, strict=True) if kind == "Pooling"]
    if not set(kinds) <= {"Transformer", "Pooling", "Normalize"} or len(modes) != 1 or modes[0] not in _POOL:
        return f"it returns embeddings of tokens: what follows them ({', '.join(kinds[1:])}) is left to the client"
    pool, normalised = _POOL[modes[0]], "Normalize" in kinds
    parameters = list(inspect.signature(model.forward).parameters)

    def embedded(_model: Any, given: tuple[Any, ...], by_name: dict[str, Any], result: Any) -> dict[str, Any]:
        mask = {**dict(zip(parameters, given, strict=False)), **by_name}["attention_mask"]
        embedding = pool(result["last_hidden_state"], mask.unsqueeze(-1).to(result["last_hidden_state"].dtype))
        return {OUTPUT: torch().nn.functional.normalize(embedding, dim=1) if normalised else embedding}

    model.register_forward_hook(embedded, with_kwargs=True)
    return (
        f"its output is one embedding for each sentence: {modes[0]} of the tokens{', normalised' if normalised else ''}"
    )


def _mode(folder: Path) -> str:
    """Return how tokens are pooled, in the spelling of older folders or of newer ones."""
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    chosen = [
        key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
        for key, on in said.items()
        if key.startswith("pooling_mode_") and on is True
    ]
    return str(said.get("pooling_mode") or (chosen[0] if len(chosen) == 1 else ""))


def _mean(tokens: Any, mask: Any) -> Any:
    return (tokens * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


def _largest(tokens: Any, mask: Any) -> Any:
    return tokens.masked_fill(mask == 0, float("-inf")).amax(1)


def _first(tokens: Any, _mask: Any) -> Any:
    return tokens[:, 0]


_POOL = {"mean": _mean, "max": _largest, "cls": _first}
