"""How the cores of a machine are shared out among instances."""

from windlass.optimize.tune.space.candidate import Layout
from windlass.optimize.tune.space.machine import Machine

# Beyond this many instances of one model queues get shorter by less than what each costs.
MOST_INSTANCES = 16


def layouts(machine: Machine, device: str) -> tuple[Layout, ...]:
    """Return the ways to use all cores and no more: one instance with all, two with half each, and so on."""
    if device != "cpu":
        return (Layout(1, 0), Layout(2, 0))
    counts = [1]
    while counts[-1] * 2 <= min(machine.cores, MOST_INSTANCES):
        counts.append(counts[-1] * 2)
    return tuple(Layout(count, machine.cores // count) for count in counts)
