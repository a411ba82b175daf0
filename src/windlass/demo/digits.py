"""Handwritten digits, and a model repository trained on them: everything from a fixed seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from windlass.errors import UsageError

Array = np.ndarray[Any, Any]

SEED = 7

NEIGHBOURS = '''"""The nearest of the images it has seen: a whole model in plain Python."""

from pathlib import Path

import numpy as np

import windlass
from windlass import Tensor


@windlass.model(max_batch_size=64)
class NearestNeighbour:
    def __init__(self) -> None:
        seen = np.load(Path(__file__).with_name("seen.npz"))
        self.images, self.labels = seen["images"], seen["labels"]
        self.squares = (self.images**2).sum(axis=1)

    def __call__(self, image: Tensor["FP32", 64]) -> Tensor["INT64", 1]:
        distances = self.squares - 2 * image @ self.images.T
        return self.labels[distances.argmin(axis=1)][:, np.newaxis]
'''


@dataclass(frozen=True, slots=True)
class Digits:
    """8x8 images as rows of 64 numbers from 0 to 1, and what they show."""

    images: Array
    labels: Array
    held_out_images: Array
    held_out_labels: Array


def load() -> Digits:
    """Read the images that come with scikit-learn and hold a fifth of them out."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise _missing("scikit-learn") from None
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(images))
    images, labels = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    cut = len(images) * 4 // 5
    return Digits(images[:cut], labels[:cut], images[cut:], labels[cut:])


def build(repository: Path, digits: Digits, *, with_torch: bool) -> None:
    """Train the models and write their folders."""
    _write_network(repository / "digits" / "1", digits)
    neighbours = repository / "neighbours" / "1"
    neighbours.mkdir(parents=True)
    (neighbours / "model.py").write_text(NEIGHBOURS, encoding="utf-8")
    np.savez(neighbours / "seen.npz", images=digits.images, labels=digits.labels)
    if with_torch:
        _write_cnn(repository / "digits_cnn", digits)


def _write_network(folder: Path, digits: Digits) -> None:
    """A network with one hidden layer, trained by scikit-learn and written as the ONNX graph that it is."""
    from sklearn.neural_network import MLPClassifier

    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError:
        raise _missing("onnx") from None
    network = MLPClassifier((64,), max_iter=60, random_state=SEED, learning_rate_init=0.005, early_stopping=True)
    network.fit(digits.images, digits.labels)
    weights = {
        f"{kind}{layer}": numpy_helper.from_array(values.astype(np.float32), f"{kind}{layer}")
        for kind, layers in (("weight", network.coefs_), ("bias", network.intercepts_))
        for layer, values in enumerate(layers)
    }
    nodes = [
        helper.make_node("Gemm", ["image", "weight0", "bias0"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "weight1", "bias1"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    floats = onnx.TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("image", floats, ["n", 64])]
    outputs = [helper.make_tensor_value_info("probabilities", floats, ["n", 10])]
    graph = helper.make_graph(nodes, "digits", inputs, outputs, list(weights.values()))
    folder.mkdir(parents=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        folder / "model.onnx",
    )


_CNN_CONFIG = """backend: "pytorch"
max_batch_size: 64
input { name: "image" data_type: TYPE_FP32 dims: 64 }
output { name: "scores" data_type: TYPE_FP32 dims: 10 }
dynamic_batching {}
"""


def _write_cnn(folder: Path, digits: Digits) -> None:
    """A small convolutional network as TorchScript."""
    import warnings

    try:
        import torch
    except ImportError:
        raise UsageError("`--torch` needs PyTorch", hint="pip install 'windlass[torch]'") from None
    torch.manual_seed(SEED)
    network = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 8, 8)),
        torch.nn.Conv2d(1, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(32 * 16, 10),
    )
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(15):
        for part in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images[part]), labels[part]).backward()
            optimizer.step()
    (folder / "1").mkdir(parents=True)
    with warnings.catch_warnings():
        # PyTorch announces the end of TorchScript; people still have such files.
        warnings.simplefilter("ignore")
        torch.jit.trace(network.eval(), images[:2]).save(str(folder / "1" / "model.pt"))
    (folder / "config.pbtxt").write_text(_CNN_CONFIG, encoding="utf-8")


def _missing(package: str) -> UsageError:
    return UsageError(f"the demo needs `{package}`", hint="pip install 'windlass[demo]'")
