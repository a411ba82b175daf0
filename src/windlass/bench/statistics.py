"""What a server counted of a model between two moments: where the time of its requests went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests with their time in the server, in nanoseconds, and what was executed of them."""

    requests: int = 0
    failed: int = 0
    total_ns: int = 0
    queue_ns: int = 0
    compute_ns: int = 0
    executions: int = 0
    rows: int = 0
    cached: int = 0

    @staticmethod
    def of(versions: Sequence[Mapping[str, Any]]) -> "Counts":
        """Add up the answers of the statistics extension for all versions of a model."""
        return Counts(
            requests=sum(_member(told, "success", "count") for told in versions),
            failed=sum(_member(told, "fail", "count") for told in versions),
            total_ns=sum(_member(told, "success", "ns") for told in versions),
            queue_ns=sum(_member(told, "queue", "ns") for told in versions),
            compute_ns=sum(
                _member(told, part, "ns")
                for told in versions
                for part in ("compute_input", "compute_infer", "compute_output")
            ),
            executions=sum(int(told.get("execution_count", 0)) for told in versions),
            rows=sum(int(told.get("inference_count", 0)) for told in versions),
            cached=sum(_member(told, "cache_hit", "count") for told in versions),
        )

    def __sub__(self, before: "Counts") -> "Counts":
        """Return what came since."""
        return Counts(*(getattr(self, name) - getattr(before, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class ServerSide:
    """Means of one request, in microseconds: in the server, in its queue, and computed.

    ``batch`` is how many rows were executed at once; ``cached`` the share of requests answered from the response cache.
    """

    total_us: float
    queue_us: float
    compute_us: float
    batch: float
    cached: float

    @staticmethod
    def between(before: Counts, after: Counts) -> "ServerSide | None":
        """Return the means of what was answered between two moments; ``None`` where nothing was."""
        counts = after - before
        if counts.requests <= 0:
            return None
        return ServerSide(
            total_us=counts.total_ns / counts.requests / 1e3,
            queue_us=counts.queue_ns / counts.requests / 1e3,
            compute_us=counts.compute_ns / counts.requests / 1e3,
            batch=counts.rows / counts.executions if counts.executions > 0 else 0.0,
            cached=counts.cached / counts.requests,
        )


def _member(told: Mapping[str, Any], part: str, name: str) -> int:
    return int(told.get("inference_stats", {}).get(part, {}).get(name, 0))
