"""The names that mean something in a model repository."""

import re
from pathlib import Path

CONFIG_FILE = "config.pbtxt"
# Further configurations of a model, from which a server may choose one by name.
CONFIGS_FOLDER = "configs"

# The file of a model by its backend, in the order in which a backend is guessed from the files there are.
MODEL_FILES = {
    "onnxruntime": ("model.onnx",),
    "openvino": ("model.xml",),
    "pytorch": ("model.pt", "model.pt2"),
    "python": ("model.py",),
}

_SKIPPED = {"warmup", "initial_state", CONFIGS_FOLDER}


def config_file(model_dir: Path, name: str) -> Path:
    """Return a model's configuration: the one of that name where the model has it, else the usual one."""
    chosen = model_dir / CONFIGS_FOLDER / f"{name}.pbtxt"
    return chosen if name and chosen.is_file() else model_dir / CONFIG_FILE


def version_number(name: str) -> int | None:
    """Return the version a folder's name stands for; ``None`` when it is no version.

    As elsewhere in this protocol digits at the start are enough (``3-candidate`` is 3), but no leading zeros.
    """
    digits = re.match(r"\d+", name)
    if name in _SKIPPED or not digits or (digits[0] != "0" and digits[0].startswith("0")):
        return None
    return int(digits[0])


def model_file(backend: str, version_dir: Path) -> str:
    """Return the file that a backend finds in a version; empty when there is none of the usual names."""
    return next((file for file in MODEL_FILES.get(backend, ()) if (version_dir / file).exists()), "")


def guess_backend(model_name: str, version_dir: Path | None) -> str | None:
    """Tell the backend from the files of a version, or else from a name like ``model.onnxruntime``."""
    if version_dir is not None:
        for backend, files in MODEL_FILES.items():
            if any((version_dir / file).exists() for file in files):
                return backend
    suffix = model_name.rpartition(".")[2]
    return suffix if suffix in MODEL_FILES and suffix != model_name else None
