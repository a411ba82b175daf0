"""Fixtures over other people's tools: a test that asks for one is skipped where it cannot be had, and says why.

With WINDLASS_REQUIRE_TOOLS=1, as in CI, it fails instead.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools import cluster as clusters
from tools import engine as engines
from tools import images, place
from tools import wheel as wheels
from tools.cluster import Cluster
from tools.engine import Engine
from tools.place import Missing

# What a test asks for tells what it is.
MARKS = {"engine": "containers", "image": "containers", "cluster": "tools", "tool": "tools", "wheel": "tools"}
# The first test that asks for one of these waits until it is built.
PATIENCE_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the tools they ask for."""
    for item in items:
        for name in MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKS[name])
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(PATIENCE_S))


@contextmanager
def needed() -> Iterator[None]:
    """Turn what is missing into a test that is skipped, or that fails."""
    try:
        yield
    except Missing as error:
        if os.environ.get("WINDLASS_REQUIRE_TOOLS") == "1":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Find a tool by its name."""

    def find(name: str) -> Path:
        with needed():
            return place.program(name)

    return find


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine with buildx and compose. Other runs share it: a test takes names and ports of its own."""
    with needed():
        lent = engines.running()
        running = lent.__enter__()
    try:
        yield running
    finally:
        lent.__exit__(None, None, None)


@pytest.fixture(scope="session")
def image(engine: Engine) -> Callable[[str], str]:
    """Provide an image that a Dockerfile begins with, under the name it asks for."""

    def provide(name: str) -> str:
        with needed():
            return images.provide(engine, name)

    return provide


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Kubernetes cluster with one played node. Tests share it: each takes a namespace of its own."""
    with needed():
        lent = clusters.running(tmp_path_factory.mktemp("cluster"))
        running = lent.__enter__()
    try:
        yield running
    finally:
        lent.__exit__(None, None, None)


@pytest.fixture(scope="session")
def wheel() -> Path:
    """This project's wheel, built from the sources as they are."""
    with needed():
        return wheels.wheel()
