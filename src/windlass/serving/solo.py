"""One version of a model by itself, served by this process to nobody but the caller."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from windlass.client import Client
from windlass.config import ModelConfig, parse_json
from windlass.errors import ModelLoadError
from windlass.repository import ModelEntry
from windlass.repository.layout import CONFIG_FILE, version_number
from windlass.serving.server import Server

Array = np.ndarray[Any, Any]

_SETTINGS: dict[str, Any] = {
    "http_port": 0,
    "grpc_port": None,
    "metrics_port": None,
    "cpu_metrics": False,
    "gpu_metrics": False,
    "log_info": False,
    # Whatever the model takes: nobody else asks.
    "http_max_input_bytes": 4 << 30,
}
_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Solo:
    """A version that is loaded. ``config`` is complete, as clients are told it."""

    name: str
    config: ModelConfig
    client: Client

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name; the first axis is the batch where the model has one.

        Raises ``ClientError`` with what the model said.
        """
        return self.client.infer(self.name, inputs)


@contextmanager
def solo(entry: ModelEntry, version: int) -> Iterator[Solo]:
    """Load one version of a model, whatever its policy serves, until the block ends.

    It is loaded as it will be when it is served, warm-up and all, whichever backend it has; it cannot ask other models.
    Raises ``ModelLoadError`` with the reason when it does not load.
    """
    written = ModelConfig()
    written.CopyFrom(entry.config_of(version) or ModelConfig())
    written.ClearField("version_policy")
    with tempfile.TemporaryDirectory(prefix="windlass-solo-") as above:
        folder = Path(above) / entry.name
        folder.mkdir()
        # What lies beside the versions, such as labels, is found there as well.
        for path in entry.path.iterdir():
            version_folder = path.is_dir() and version_number(path.name) is not None
            if not version_folder and path.name != CONFIG_FILE:
                (folder / path.name).symlink_to(path.resolve())
        (folder / str(version)).symlink_to(entry.versions[version].resolve())
        (folder / CONFIG_FILE).write_text(text_format.MessageToString(written), encoding="utf-8")
        with Server(above, **_SETTINGS) as server:
            if version not in server.serving().get(entry.name, ()):
                raise ModelLoadError(
                    f"version {version} of model `{entry.name}` does not load: {_reason(server, entry.name)}",
                    where=str(entry.versions[version]),
                )
            with Client(server.url("http"), timeout_s=_PATIENCE_S) as client:
                config = parse_json(json.dumps(client.config(entry.name)))
                yield Solo(entry.name, config, client)


def _reason(server: Server, name: str) -> str:
    return next((row["reason"] for row in server.index() if row["name"] == name and row.get("reason")), "unknown")
