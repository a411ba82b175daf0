"""PyTorch modules to start from, as people have them: built from code, with random weights from a fixed seed."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import real


@dataclass(frozen=True)
class Module:
    """What builds it, and its input: one row's shape, numpy's type, and the name in a configuration."""

    build: Callable[[], Any]
    shape: tuple[int, ...]
    data_type: str
    below: int = 0

    def row(self, seed: int = 7) -> np.ndarray:
        """Return one row."""
        rng = np.random.default_rng(seed)
        if self.below:
            return rng.integers(0, self.below, (1, *self.shape), dtype=np.int64)
        return rng.standard_normal((1, *self.shape), dtype=np.float32)


def _wide() -> Any:
    """Layers whose weights are far larger than a row: reading them is the work, whatever the batch."""
    import torch
    from torch import nn

    torch.manual_seed(7)
    layers: list[nn.Module] = []
    for _ in range(8):
        layers += [nn.Linear(3072, 3072), nn.ReLU()]
    return nn.Sequential(nn.Linear(64, 3072), *layers, nn.Linear(3072, 16)).eval()


def _local() -> Any:
    """A few weights over a large image: the work is the rows, and a batch of them is as much work as all of them."""
    import torch
    from torch import nn

    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 16),
    ).eval()  # fmt: skip


MODULES = {
    "resnet50": Module(real.resnet, (3, 224, 224), "float32"),
    "bert": Module(real.bert, (128,), "int64", below=30522),
    "wide": Module(_wide, (64,), "float32"),
    "local": Module(_local, (3, 192, 192), "float32"),
}


def write(repository: Path, name: str) -> None:
    """Write a module into a repository as the exported program that ``windlass add`` makes of it."""
    import torch

    chosen = MODULES[name]
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    example = torch.from_numpy(np.concatenate([chosen.row(1), chosen.row(2)]))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        axes = ({0: torch.export.Dim("batch", min=1, max=256)},)
        torch.export.save(torch.export.export(chosen.build(), (example,), dynamic_shapes=axes), folder / "model.pt2")
    (folder.parent / "config.pbtxt").write_text("max_batch_size: 8\ndynamic_batching {}\n", encoding="utf-8")
