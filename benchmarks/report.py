"""What was measured, as a table, as JSON and as one plot, with the machine it was measured on."""

import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> dict[str, Any]:
    """Describe the machine."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = next(
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e6, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def write(section: str, rows: list[dict[str, Any]], goals: list[dict[str, Any]], described: dict[str, Any]) -> Path:
    """Write what one run found in a section, over what the last one of the day had; returns the table's path."""
    RESULTS.mkdir(exist_ok=True)
    name = f"{described['date']}-{described['cores']}-cores-{section}"
    found = {"machine": described, "goals": goals, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    table = RESULTS / f"{name}.md"
    table.write_text(text(section, rows, goals, described) + _plot(section, rows, RESULTS / f"{name}.png"))
    return table


def text(section: str, rows: list[dict[str, Any]], goals: list[dict[str, Any]], described: dict[str, Any]) -> str:
    """Return everything as Markdown."""
    marks = [{**goal, "reached": "yes" if goal["reached"] else "**no**"} for goal in goals]
    return "\n".join(
        [
            f"# Benchmark of {described['date']}: {section}\n",
            ", ".join(f"{key} {value}" for key, value in described.items()) + "\n",
            "Figures of one run; only ratios mean anything elsewhere. Repeat it with "
            f"`make bench BENCH='--only {section}'`.\n",
            *(["## Goals\n", _table(marks)] if goals else []),
            "## Found\n",
            *(_table(kind) for kind in _kinds(rows)),
        ]
    )


def _kinds(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return rows without their sections; those that tell of the same things are one table."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(row["section"], []).append({key: row[key] for key in row if key != "section"})
    return list(kinds.values())


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "nothing\n"
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(column, '')) for column in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def _plot(section: str, rows: list[dict[str, Any]], file: Path) -> str:
    """Write the plot, if there is something to plot; returns how the table shows it."""
    if section not in ("rest", "grpc"):
        return ""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = sorted((row for row in rows if row["connections"] == 64), key=lambda row: row["rate"])
    colours = ["#d1495b" if row["server"].startswith("windlass") else "#8d99ae" for row in chosen]
    figure, axis = pyplot.subplots(figsize=(6, 4.5))
    axis.barh([row["server"] for row in chosen], [row["rate"] for row in chosen], color=colours)
    axis.set_title(f"{section}: requests per second, 64 connections")
    axis.spines[["top", "right"]].set_visible(False)
    for place, row in enumerate(chosen):
        axis.text(row["rate"], place, f" {row['rate']:,.0f}", va="center")
    axis.margins(x=0.18)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    return f"\n![requests per second]({file.name})\n"
