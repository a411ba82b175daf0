"""A model in another format, checked against the first: one file for each format that can be written."""

from windlass.optimize.export.checked import Different, Exported, Wishes
from windlass.optimize.export.export import export_version
from windlass.optimize.export.original import format_and_file
from windlass.optimize.export.probes import Size, summary
from windlass.optimize.export.routes import targets
from windlass.optimize.export.write import write

__all__ = [
    "Different",
    "Exported",
    "Size",
    "Wishes",
    "export_version",
    "format_and_file",
    "summary",
    "targets",
    "write",
]
