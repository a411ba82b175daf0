"""Writes docs/reference/cli.md from the help pages: ``make docs``."""

import subprocess
import sys
from pathlib import Path

from windlass.cli.main import VERBS


def main() -> None:
    """Ask every verb for its page."""
    parts = ["# Command line\n\nExit codes: 0 fine, 1 what was asked about is bad, 2 it could not be done.\n"]
    for verb in VERBS:
        command = [str(Path(sys.executable).with_name("windlass")), verb, "--help"]
        page = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        parts.append(f"## windlass {verb}\n\n```\n{page}\n```\n")
    (Path(__file__).parent / "reference" / "cli.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
