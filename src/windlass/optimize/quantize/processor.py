"""What this machine's processor does to sums of 8-bit products."""

from windlass.report.machine import Machine

# Those that add such products without losing any.
_EXACT = ("VNNI", "AMX INT8", "NEON")


def saturates() -> bool:
    """Tell whether sums of 8-bit products lose their highest bits here: weights then get 7."""
    return not any(exact in feature for feature in Machine.here().features for exact in _EXACT)
