"""What a model's code may ask of the server that runs it, in whatever process that is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Responder(Protocol):
    """The way back to one client, for answers when and as often as a model likes; to be used on any thread."""

    def send(
        self,
        outputs: "Mapping[str, Array] | None" = None,
        error: Exception | None = None,
        parameters: Mapping[str, str | int | bool | float] | None = None,
        last: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Give one answer. The last may be empty; after it nothing more is taken."""

    def is_cancelled(self) -> bool:
        """Tell whether the client went away."""


class Replies(Protocol):
    """The answers of another model, one by one: outputs, error (code and text), parameters. The last may be empty."""

    def __next__(self) -> "tuple[dict[str, Array] | None, tuple[str, str] | None, dict[str, Any]]":
        """Wait for the next answer."""

    def cancel(self) -> None:
        """Lose interest in the rest."""


class Host(Protocol):
    """The server, as a model's code may ask it. What fails raises ``WindlassError``."""

    def infer(  # noqa: PLR0913 - the members of a request
        self,
        model: str,
        version: int,
        inputs: "Mapping[str, Array]",
        requested_outputs: Sequence[str],
        *,
        request_id: str = "",
        correlation_id: int | str | None = None,
        flags: int = 0,
        priority: int = 0,
        timeout_us: int = 0,
        parameters: Mapping[str, str | int | bool] | None = None,
        trace_context: str | None = None,
        decoupled: bool = False,
    ) -> Replies:
        """Ask another model; version -1 is the latest. Does not wait for the answer."""

    def load_model(self, model: str, parameters: Mapping[str, str | int | bool | bytes], /) -> None:
        """Load a model; the parameters are those of a request over the network."""

    def unload_model(self, model: str, unload_dependents: bool, /) -> None:  # noqa: FBT001
        """Unload a model."""

    def is_model_ready(self, model: str, version: str, /) -> bool:
        """Tell whether a model is ready; an empty version means any."""

    def declare_metric(self, name: str, description: str, kind: str, /) -> None:
        """Declare a family of metrics: ``counter``, ``gauge`` or ``histogram``."""

    def change_metric(
        self,
        family: str,
        labels: Sequence[tuple[str, str]],
        buckets: Sequence[float],
        change: str,
        value: float,
        /,
    ) -> float:
        """Change one metric: ``keep``, ``add``, ``increment``, ``set``, ``observe`` or ``remove``; return its value."""
