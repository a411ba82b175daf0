"""Compose files of others, read whole: every spelling the specification knows, and every construct told or kept."""

from windlass.config.compose.reading import read_compose
from windlass.config.compose.values import ComposeFile, Service

__all__ = ["ComposeFile", "Service", "read_compose"]
