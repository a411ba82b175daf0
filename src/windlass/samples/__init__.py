"""Inputs to ask a model about: read from what a person has, or made from the model's signature."""

from windlass.samples.generated import generate
from windlass.samples.reading import read
from windlass.samples.samples import Samples

__all__ = ["Samples", "generate", "read"]
