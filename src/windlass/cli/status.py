"""``windlass status``: what runs."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from windlass.cli import output
from windlass.cli.project import opened, project_options


@click.command()
@project_options
@output.json_option
def status(file: Path, target: str | None, as_json: bool) -> None:
    """Show every replica on a target.

    Exits with 0 when all are ready, with 1 when one is not or nothing runs, with 2 when the target cannot be asked.
    """
    project = opened(file, target)
    replicas = project.running().status()
    if as_json:
        output.as_json([asdict(replica) for replica in replicas])
    elif replicas:
        columns = ("service", "replica", "state", "restarts", "since", "address", "reason")
        rows = [(r.service, r.name, r.state, str(r.restarts), r.started, r.address, r.reason) for r in replicas]
        shown = [index for index, _ in enumerate(columns) if any(row[index] for row in rows)]
        output.table([columns[index] for index in shown], [[row[index] for index in shown] for row in rows])
    else:
        output.result(f"nothing runs on {project.target}")
    sys.exit(0 if replicas and all(replica.state == "ready" for replica in replicas) else output.BAD)
