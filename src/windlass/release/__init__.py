"""A release: a project on one target, with the models it serves, as one frozen value that texts are made of."""

from windlass.release.reading import read_release
from windlass.release.release import DEVELOPMENT, Model, Release, lock

__all__ = ["DEVELOPMENT", "Model", "Release", "lock", "read_release"]
