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


def write(rows: list[dict[str, Any]], goals: list[dict[str, Any]], described: dict[str, Any], part: str) -> Path:
    """Write the files, under a name of their own where only part was measured; returns the table's path."""
    RESULTS.mkdir(exist_ok=True)
    name = "-".join(filter(None, [described["date"], f"{described['cores']}-cores", part]))
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"machine": described, "goals": goals, "rows": rows}, indent=1) + "\n"
    )
    table = RESULTS / f"{name}.md"
    only = part and f" BENCH='--only {part.replace('-', ',')}'"
    table.write_text(text(rows, goals, described, only) + _plot(rows, RESULTS / f"{name}.png"))
    return table


def text(rows: list[dict[str, Any]], goals: list[dict[str, Any]], described: dict[str, Any], only: str) -> str:
    """Return everything as Markdown."""
    parts = [
        f"# Benchmark of {described['date']}\n",
        ", ".join(f"{key} {value}" for key, value in described.items()) + "\n",
    ]
    parts.append(f"Figures of one run; only ratios mean anything elsewhere. Repeat it with `make bench{only}`.\n")
    marks = [{**goal, "reached": "yes" if goal["reached"] else "**no**"} for goal in goals]
    parts += ["## Goals\n", _table(marks)]
    for section in dict.fromkeys(row["section"] for row in rows):
        of_section = [
            {key: value for key, value in row.items() if key != "section"} for row in rows if row["section"] == section
        ]
        parts += [f"## {section}\n", _table(of_section)]
    return "\n".join(parts)


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


def _plot(rows: list[dict[str, Any]], file: Path) -> str:
    """Write the plot, if there is something to plot; returns how the table shows it."""
    sections = [section for section in ("rest", "grpc") if any(row["section"] == section for row in rows)]
    if not sections:
        return ""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(sections), figsize=(6 * len(sections), 4.5), squeeze=False)
    for axis, section in zip(axes[0], sections, strict=True):
        chosen = [row for row in rows if row["section"] == section and row["connections"] == 64]
        chosen.sort(key=lambda row: row["rate"])
        colours = ["#d1495b" if row["server"].startswith("windlass") else "#8d99ae" for row in chosen]
        axis.barh([row["server"] for row in chosen], [row["rate"] for row in chosen], color=colours)
        axis.set_title(f"{section}: requests per second, 64 connections")
        axis.spines[["top", "right"]].set_visible(False)
        for place, row in enumerate(chosen):
            axis.text(row["rate"], place, f" {row['rate']:,.0f}", va="center")
        axis.margins(x=0.18)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    return f"\n![requests per second]({file.name})\n"
