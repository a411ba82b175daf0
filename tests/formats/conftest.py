"""Code and files that people have, made on the spot."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from windlass.formats import Given, find
from windlass.formats.add import Added, Wish, put

MODULES = '''
import torch
from torch import nn


class Picture(nn.Module):
    """Takes images of any size."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        small = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        self.layers = nn.Sequential(*small)

    def forward(self, image):
        return self.layers(image)


class Words(nn.Module):
    """Takes texts of any length, and returns more than tensors."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, ids, mask=None):
        hidden = self.table(ids)
        if mask is not None:
            hidden = hidden * mask.unsqueeze(-1)
        return {"logits": self.head(hidden.mean(1)), "hidden": (hidden,), "nothing": None}


class Branch(nn.Module):
    """Decides by values: scripts, and does not export."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor):
        y = self.layer(x)
        if bool((y.sum() > 1000000.0).item()):
            return y * 2
        return y


class Decides(Branch):
    """Decides by values in a way that no compiler follows."""

    def forward(self, x):
        y = self.layer(x)
        try:
            return {True: y, False: 2 * y}[float(y.sum()) > 0]
        except KeyError:
            return y


class Fixed(nn.Module):
    """Its code fixes the batch."""

    def forward(self, x):
        return x.reshape(2, 4) * 2


def picture():
    return Picture()


def words():
    return Words()


def branch():
    return Branch()


def decides():
    return Decides()


def fixed():
    return Fixed()


def broken():
    raise ValueError("the checkpoint is not there")


def leaves():
    raise SystemExit(3)


def number():
    return 42
'''


@contextmanager
def without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A Python file with functions that build modules."""
    file = tmp_path / "nets.py"
    file.write_text(MODULES)
    return file


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., Added]:
    """Add what is at a path to a repository, and return what came of it."""

    def put_it(path: Path | str, name: str = "it", *, run: bool = True, **given: object) -> Added:
        with without_warnings():
            return put(find(path, Given(**given)), Wish(name, tmp_path / "models", run=run))

    return put_it
