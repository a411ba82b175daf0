"""The process that does one job: ``python -m windlass.optimize.tune.measure.child JOB``, the job as JSON.

Whatever it prints besides lines with the mark is noise of engines.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from windlass.errors import WindlassError
from windlass.optimize.tune.measure.children import MARK

Told = Iterator[dict[str, Any]]


def main() -> None:
    """Do the job that the command line names, and say what comes of it."""
    job = json.loads(sys.argv[1])
    try:
        for message in _JOBS[job["kind"]](job):
            say(message)
    except WindlassError as error:
        say({"error": error.message, "hint": error.hint})
    except MemoryError:
        say({"error": "it needs more memory than there is", "hint": None})
    except Exception as error:  # engines raise what they like
        say({"error": f"{type(error).__name__}: {error}", "hint": None})
    # Engines' threads may hang at the end of the interpreter; what was to be said is said.
    sys.stdout.flush()
    os._exit(0)


def say(message: dict[str, Any]) -> None:
    """Tell the parent, in one write: nothing an engine prints meanwhile comes between."""
    os.write(1, f"{MARK}{json.dumps(message)}\n".encode())


def _make(job: dict[str, Any]) -> Told:
    from windlass.optimize.tune.measure.artefacts import make

    return make(job)


def _examine(job: dict[str, Any]) -> Told:
    from windlass.optimize.tune.measure.examination import examine

    return examine(job)


def _look(job: dict[str, Any]) -> Told:
    from windlass.optimize.tune.measure.look import look

    return look(job)


_JOBS: dict[str, Callable[[dict[str, Any]], Told]] = {"look": _look, "make": _make, "examine": _examine}

if __name__ == "__main__":
    main()
