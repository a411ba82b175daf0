"""Models on disk: which there are, which versions they have, and what is wrong with them. Nothing is loaded here."""

from windlass.repository.initial_states import initial_states
from windlass.repository.labels import labels
from windlass.repository.repository import ModelEntry, Reading, Snapshot, scan, scan_model
from windlass.repository.versions import select

__all__ = ["ModelEntry", "Reading", "Snapshot", "initial_states", "labels", "scan", "scan_model", "select"]
