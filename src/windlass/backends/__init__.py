"""Engines that execute models. One file per backend; a framework is imported only where its backend opens a model."""

from windlass.backends.backend import Backend, Instance, LoadContext, OpenedModel, Request, find
from windlass.backends.placement import Placement, placements

__all__ = ["Backend", "Instance", "LoadContext", "OpenedModel", "Placement", "Request", "find", "placements"]
