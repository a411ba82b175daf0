"""What every backend's story needs: a folder of a version, opened and loaded as the server would do it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from windlass.backends import Instance, LoadContext, cgroup, find
from windlass.config import ModelConfig, normalise, parse_text


@dataclass
class Request:
    """A request as the data plane hands it to a model that looks at each by itself."""

    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    id: str = ""
    requested_outputs: list[str] = field(default_factory=list)
    parameters: dict[str, str | int | bool | float] = field(default_factory=dict)
    correlation_id: int | str = 0
    flags: int = 0
    priority: int = 0
    timeout_us: int = 0
    cancelled: bool = False

    def is_cancelled(self) -> bool:
        return self.cancelled


class Version:
    """Version 1 of a model called ``m``."""

    def __init__(self, path: Path) -> None:
        self.model_dir = path / "m"
        self.path = self.model_dir / "1"
        self.path.mkdir(parents=True)
        self.config = ModelConfig()
        self._open: list[Instance] = []

    def file(self, name: str) -> Path:
        return self.path / name

    def write(self, source: str, name: str = "model.py") -> None:
        (self.path / name).write_text(source)

    def close(self) -> None:
        """Close what was loaded, as the data plane would."""
        while self._open:
            self._open.pop(0).close()

    def load(self, backend: str, config: str = "", settings: Mapping[str, str] | None = None) -> Sequence[Instance]:
        """Open and load; ``self.config`` is the full configuration then."""
        written = parse_text(f'name: "m" {config}', "config.pbtxt")
        context = LoadContext("m", 1, self.model_dir, self.path, written, settings or {})
        opened = find(backend).open(context)
        self.config = normalise(opened.config, "m")
        instances = opened.instances(self.config)
        self._open.extend(instances)
        return instances


@pytest.fixture
def make_version(tmp_path: Path):
    """Make versions of models in folders of their own; what they load is closed when the test ends."""
    made: list[Version] = []

    def make(folder: str) -> Version:
        made.append(Version(tmp_path / folder))
        return made[-1]

    yield make
    for version in made:
        version.close()


@pytest.fixture
def version(make_version) -> Version:
    return make_version("models")


@pytest.fixture
def make_request() -> Callable[..., Request]:
    return Request


@pytest.fixture
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without GPUs, wherever the test runs."""
    import windlass.backends.cuda

    monkeypatch.setattr(windlass.backends.cuda, "device_count", lambda: 0)


@pytest.fixture
def limited_to_one_core() -> Iterator[Callable[[str], str]]:
    """Run Python code in a real cgroup that may use one core, and return what it printed."""
    own = cgroup.folders("cpu")
    if not own:
        pytest.skip("there is no cgroup with a controller of cores")
    group = own[0] / f"windlass-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup may be made: {error}")
    try:
        if (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_quota_us").write_text("100000")
        elif (group / "cpu.max").exists():
            (group / "cpu.max").write_text("100000 100000")
        else:
            pytest.skip("groups have no limits of cores here")
        entering = f"import pathlib; pathlib.Path({str(group)!r}, 'cgroup.procs').write_text('0')\n"

        def run(code: str) -> str:
            command = [sys.executable, "-c", entering + code]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        yield run
    finally:
        group.rmdir()
