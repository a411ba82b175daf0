"""``python -m benchmarks.run``: everything that is claimed, in one run."""

import argparse
import sys

from benchmarks import accuracy, features, generator, image, optimize, real, report, startup, tiny

SECTIONS = ("rest", "grpc", "features", "image", "start", "real", "accuracy", "optimize", "generator")
PEERS = (
    "windlass",
    "windlass-in-process",
    "windlass-function",
    "triton",
    "mosec",
    "fastapi",
    "mlserver",
    "litserve",
    "bentoml",
    "ray",
    "bare",
    "nginx",
)


def main() -> None:
    """Measure the sections asked for and write the report."""
    parser = argparse.ArgumentParser(description="Measure windlass and its peers side by side.")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="servers of the tiny model, separated by commas")
    parser.add_argument("--modules", default=",".join(optimize.BUDGETS_S), help="modules to optimize, likewise")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians count")
    options = parser.parse_args()
    wanted, names, chosen = (text.split(",") for text in (options.only, options.peers, options.modules))
    described = report.machine()
    measures = {
        "rest": lambda: tiny.rest(names, options.seconds, options.rounds),
        "grpc": lambda: tiny.grpc(names, options.seconds, options.rounds),
        "features": lambda: features.measure(options.seconds, options.rounds),
        "image": lambda: image.measure(options.seconds, options.rounds),
        # One batch takes up to half a second: what is measured has to be longer.
        "real": lambda: real.measure(2 * options.seconds, options.rounds),
        "start": startup.measure,
        "accuracy": accuracy.measure,
        "optimize": lambda: optimize.measure(options.seconds, options.rounds, chosen),
        "generator": lambda: generator.measure(options.seconds, options.rounds),
    }
    parts = (tiny, features, image, real, startup, accuracy, optimize, generator)
    for section in (section for section in SECTIONS if section in wanted):
        print(f"measuring {section}", file=sys.stderr, flush=True)
        rows = []
        for row in measures[section]():
            print(f"  {row}", file=sys.stderr, flush=True)
            rows.append(row)
        goals = [goal for part in parts for goal in part.goals(rows)]
        # Some of the peers or modules are for a look: what is kept has all.
        if set(names) >= set(PEERS) and set(chosen) >= set(optimize.BUDGETS_S):
            report.write(section, rows, goals, described)
        print(report.text(section, rows, goals, described), flush=True)


if __name__ == "__main__":
    main()
