"""What a run found, told: as Markdown, as JSON, and as one HTML file with plots that needs no network."""

from windlass.optimize.tune.report.files import write

__all__ = ["write"]
