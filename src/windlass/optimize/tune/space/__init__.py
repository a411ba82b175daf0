"""What could serve a model: values, and the rules that list them. Pure: nothing is measured, made or read here."""

from windlass.optimize.tune.space.candidate import OFF, Artefact, Batching, Candidate, Layout, Step, Variant
from windlass.optimize.tune.space.layouts import layouts
from windlass.optimize.tune.space.machine import Machine
from windlass.optimize.tune.space.variants import Subject, Unfit, variants

__all__ = [
    "OFF",
    "Artefact",
    "Batching",
    "Candidate",
    "Layout",
    "Machine",
    "Step",
    "Subject",
    "Unfit",
    "Variant",
    "layouts",
    "variants",
]
