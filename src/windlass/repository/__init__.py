"""Models on disk: which there are, which versions they have, and what is wrong with them. Nothing is loaded here."""

from windlass.repository.choice import choose
from windlass.repository.labels import labels
from windlass.repository.repository import ModelEntry, Reading, Snapshot, scan, scan_model
from windlass.repository.tensor_files import tensor_files, tensor_paths
from windlass.repository.versions import select

__all__ = [
    "ModelEntry",
    "Reading",
    "Snapshot",
    "choose",
    "labels",
    "scan",
    "scan_model",
    "select",
    "tensor_files",
    "tensor_paths",
]
