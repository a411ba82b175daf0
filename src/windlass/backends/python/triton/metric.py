"""Metrics that models declare; they stand on the server's metrics page."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from windlass.backends.host import Host
from windlass.backends.python import home
from windlass.backends.python.triton.error import TritonModelException, explained


class MetricFamily:
    """Metrics of one name, told apart by their labels."""

    COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

    def __init__(self, name: str, description: str, kind: str) -> None:
        here = home.current()
        if here is None or here.host is None:
            raise TritonModelException("a MetricFamily was made outside of a model")
        self._home, self._host, self._name, self._kind = here, here.host, name, kind
        with explained("Error when creating MetricFamily", here.name):
            self._host.declare_metric(name, description, kind)

    def Metric(  # noqa: N802 - models call it so
        self, labels: Mapping[str, str] | None = None, buckets: Sequence[float] | None = None
    ) -> "Metric":
        """Return the metric with these labels; ``buckets`` are the upper bounds of a histogram."""
        if labels is not None and not isinstance(labels, Mapping):
            raise TritonModelException("Failed to create metric. Labels must be a dictionary.")
        if buckets is not None and not isinstance(buckets, list):
            raise TritonModelException("Failed to create metric. Buckets must be a list.")
        if buckets is None and self._kind == self.HISTOGRAM:
            raise TritonModelException("Failed to create metric. Missing required buckets.")
        if buckets is not None and self._kind != self.HISTOGRAM:
            raise TritonModelException("Failed to create metric. Unexpected buckets found.")
        return Metric(self._home, self._host, self._name, (labels or {}, buckets or ()))


class Metric:
    """One metric. It leaves the page when nobody holds it any more."""

    def __init__(
        self, here: home.Home, host: Host, family: str, which: tuple[Mapping[str, str], Sequence[float]]
    ) -> None:
        labels, buckets = which
        self._model, self._host, self._family = here.name, host, family
        self._labels, self._buckets = sorted(labels.items()), [float(bound) for bound in buckets]
        self._change("add", "Error when creating Metric")

    def increment(self, value: float) -> None:
        """Add to it."""
        self._change("increment", "Failed to increment metric value", value)

    def set(self, value: float) -> None:
        """Set it; for a gauge."""
        self._change("set", "Failed to set metric value", value)

    def observe(self, value: float) -> None:
        """Count an observation; for a histogram."""
        self._change("observe", "Failed to observe metric value", value)

    def value(self) -> float:
        """Return its value."""
        return self._change("keep", "Failed to get metric value")

    def _change(self, change: str, otherwise: str, value: float = 0.0) -> float:
        with explained(otherwise, self._model):
            return self._host.change_metric(self._family, self._labels, self._buckets, change, float(value))

    def __del__(self) -> None:
        with suppress(Exception):
            self._host.change_metric(self._family, self._labels, self._buckets, "remove", 0.0)
