"""What a backend is, and how one is found by its name.

Another package offers a backend by an entry point in the group ``windlass.backends``: its name is the
backend's, and its object has ``open``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from windlass.backends.compiled import CompiledCache
from windlass.backends.host import Host, Responder
from windlass.config import ModelConfig
from windlass.errors import BackendError, UnknownBackendError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BUILT_IN = ("ensemble", "onnxruntime", "openvino", "pytorch", "python")
GROUP = "windlass.backends"


class Request(Protocol):
    """One request of a batch, as the data plane hands it to instances that look at each by itself."""

    id: str
    inputs: "dict[str, Array]"
    requested_outputs: list[str]
    parameters: dict[str, str | int | bool | float]
    correlation_id: int | str
    flags: int
    priority: int
    timeout_us: int
    trace_context: str | None

    @property
    def responder(self) -> Responder:
        """The way back to the client. Whoever takes it answers through it."""

    def is_cancelled(self) -> bool:
        """Tell whether the client went away."""


# What comes of a request: its outputs, also with parameters; its failure; nothing, where it is answered through its
# responder; or the request itself, which is then executed once more.
Answer: TypeAlias = "Mapping[str, Array] | tuple[Mapping[str, Array], Mapping[str, Any]] | Exception | Request | None"


class Instance(Protocol):
    """One loaded copy of a model. The data plane owns it and uses it from one thread at a time.

    ``per_request`` says which of the two calls is made: ``execute`` with one joined batch (axis 0 is the batch
    where the model has one), or ``execute_each`` with the requests as they came. Input arrays belong to the
    callee, with their dictionary. Arrays that are handed out must stay as they are: they are written to the
    network after the next execution began.
    """

    name: str
    kind: str
    device: int
    per_request: bool

    def close(self) -> None:
        """Let go of everything; called once, after the last execution."""


class JoinedInstance(Instance, Protocol):
    """An instance that executes joined batches."""

    def execute(self, inputs: "dict[str, Array]") -> "Mapping[str, Array]":
        """Return every declared output by name, with as many rows as came in."""


class EachInstance(Instance, Protocol):
    """An instance that executes requests one beside the other."""

    def execute_each(self, requests: Sequence[Request]) -> list[Answer]:
        """Return what comes of each request, in order."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What a backend is told of the version it opens. ``config`` is what the user wrote, and the model's name.

    ``host`` is the server, for backends whose models may ask it; there is none where a model is only looked at.
    """

    model_name: str
    version: int
    model_dir: Path
    version_dir: Path
    config: ModelConfig
    settings: Mapping[str, str] = field(default_factory=dict)
    host: Host | None = None
    # Starts a process, by the instance's name, the interpreter and more variables, where the model may have one.
    launch: "Callable[[str, str | None, Mapping[str, str]], Process] | None" = None
    # The cores that instances are kept to, by the name of their host policy.
    policies: Mapping[str, Collection[int]] = field(default_factory=dict)
    # Where compiled models are kept between starts; nowhere by default.
    compiled: CompiledCache | None = None

    def parameter(self, name: str, default: str = "") -> str:
        """Return a parameter of the configuration, else the server's setting for the backend."""
        if name in self.config.parameters:
            return self.config.parameters[name].string_value
        return self.settings.get(name, default)

    def whole_number(self, name: str, default: int) -> int:
        """Return a parameter that has to be an integer; raises ``BackendError`` when it is not."""
        text = self.parameter(name, str(default))
        try:
            return int(text)
        except ValueError:
            raise self.failure(f"parameter `{name}`: expected an integer, got `{text}`") from None

    def switch(self, name: str, *, default: bool) -> bool:
        """Return a parameter that is true or false; raises ``BackendError`` when it is neither."""
        text = self.parameter(name, str(default)).lower()
        if text in {"true", "1", "yes", "on"}:
            return True
        if text in {"false", "0", "no", "off"}:
            return False
        raise self.failure(f"parameter `{name}`: expected true or false, got `{text}`")

    def failure(self, reason: object, hint: str | None = None) -> BackendError:
        """Say why the model does not load."""
        return BackendError(f"unable to load model '{self.model_name}': {reason}", hint=hint)

    def model_file(self, *names: str) -> Path:
        """Return the model's file: the one the configuration names, or the first of ``names`` there is.

        Raises ``BackendError`` when there is none.
        """
        chosen = self.config.default_model_filename
        candidates = [chosen] if chosen else list(names)
        for name in candidates:
            if (self.version_dir / name).exists():
                return self.version_dir / name
        expected = " or ".join(f"`{name}`" for name in candidates)
        raise self.failure(
            f"no {expected} in `{self.version_dir}`",
            hint="put the file there, or name another with `default_model_filename`",
        )


class Process(Protocol):
    """A process that runs one instance of a model."""

    def call(self, method: str, argument: bytes) -> bytes:
        """Have something done there. Raises what it raises there, as ``WindlassError``."""

    def close(self) -> None:
        """End it."""


class OpenedModel(Protocol):
    """A version whose file was read: it knows its configuration in full, and makes instances."""

    config: ModelConfig

    def instances(self, config: ModelConfig) -> Sequence[Instance]:
        """Make the instances that a normalised configuration asks for."""


class Backend(Protocol):
    """Opens versions of models."""

    def open(self, context: LoadContext) -> OpenedModel:
        """Read a version's file and complete its configuration from it.

        Raises ``BackendError`` when the file cannot be read, or disagrees with what the configuration says.
        """


def find(name: str) -> Backend:
    """Return the backend of that name. Raises ``BackendError`` when there is none."""
    if name in BUILT_IN:
        return cast(Backend, import_module(f"windlass.backends.{name}"))
    for entry in entry_points(group=GROUP, name=name):
        return cast(Backend, entry.load())
    others = sorted(entry.name for entry in entry_points(group=GROUP))
    raise UnknownBackendError(
        f"unable to find backend library for backend '{name}', try specifying runtime on the model configuration.",
        hint=f"there are {', '.join([*BUILT_IN, *others])}",
    )


def missing(framework: str, extra: str) -> BackendError:
    """Say which framework is not installed, and what installs it."""
    hint = f"pip install 'windlass[{extra}]'"
    return BackendError(f"the framework `{framework}` is not installed", hint=hint)
