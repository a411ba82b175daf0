"""Engines that execute models: a file for each, which imports its framework when it opens a model."""

from windlass.backends.backend import Backend, Instance, LoadContext, OpenedModel, Process, Request, find
from windlass.backends.placement import Placement, placements

__all__ = ["Backend", "Instance", "LoadContext", "OpenedModel", "Placement", "Process", "Request", "find", "placements"]
