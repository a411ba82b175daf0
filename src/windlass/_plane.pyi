"""The data plane, in Rust."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, final

class _Control(Protocol):
    def load(self, name: str, parameters: dict[str, str | int | bool | bytes], /) -> None: ...
    def unload(self, name: str, unload_dependents: bool, /) -> None: ...
    def log(self, level: str, message: str, /) -> None: ...
    def set_log(self, info: bool, warning: bool, error: bool, verbose_level: int, format: str, /) -> None: ...

@final
class Plane:
    """The data plane of one server."""

    def __new__(
        cls,
        control: _Control,
        *,
        name: str,
        version: str,
        http: str | None,
        grpc: str | None,
        metrics: str | None,
        reuse_http_port: bool = False,
        reuse_grpc_port: bool = False,
        grpc_settings: object = None,
        reactors: int = 0,
        busy_poll_us: int = 0,
        http_max_input_bytes: int = 67108864,
        strict_readiness: bool = True,
        client_shm: bool = False,
        cache_bytes: int = 0,
        rate_limits: list[tuple[str, int, int | None]] | None = None,
        observe: Mapping[str, Any] | None = None,
    ) -> Plane: ...
    def listen(self) -> dict[str, str]: ...
    def announce(self, name: str, version: int | None, state: str, reason: str = "") -> None: ...
    def prepare(
        self,
        version: int,
        config: bytes,
        config_json: str,
        instances: Sequence[Any],
        load_ns: int,
        *,
        labels: Mapping[str, Sequence[str]] = ...,
        files: Mapping[str, bytes] = ...,
        cores: Sequence[Sequence[int]] = ...,
    ) -> Version: ...
    def publish(self, version: Version) -> None: ...
    def retire(self, name: str, version: int, timeout_s: float, reason: str = "unloaded") -> bool: ...
    def forget(self, name: str) -> None: ...
    def check_limits(self, config: bytes) -> None: ...
    def process(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> ModelProcess: ...
    def start(self) -> None: ...
    def drain(self, timeout_s: float) -> bool: ...
    def close(self, patience_s: float) -> None: ...
    def host(self) -> Host: ...
    def index(self) -> list[dict[str, str]]: ...
    def metrics(self) -> str: ...

@final
class Version:
    """A version that is made, until it is in service."""

    def close(self) -> None: ...

@final
class Request:
    """One request of a batch, for models that look at each by itself."""

    @property
    def id(self) -> str: ...
    @property
    def inputs(self) -> dict[str, Any]: ...
    @property
    def requested_outputs(self) -> list[str]: ...
    @property
    def parameters(self) -> dict[str, str | int | bool | float]: ...
    @property
    def correlation_id(self) -> int | str: ...
    @property
    def flags(self) -> int: ...
    @flags.setter
    def flags(self, flags: int) -> None: ...
    @property
    def priority(self) -> int: ...
    @property
    def timeout_us(self) -> int: ...
    @property
    def trace_context(self) -> str | None: ...
    @property
    def responder(self) -> Responder: ...
    def is_cancelled(self) -> bool: ...

@final
class Responder:
    """The way back to one client."""

    def send(
        self,
        outputs: Mapping[str, Any] | None = None,
        error: Exception | None = None,
        parameters: Mapping[str, str | int | bool | float] | None = None,
        last: bool = False,
    ) -> None: ...
    def is_cancelled(self) -> bool: ...

@final
class Host:
    """The server that runs a model."""

    def infer(
        self,
        model: str,
        version: int,
        inputs: Mapping[str, Any],
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
    ) -> Replies: ...
    def load_model(self, model: str, parameters: Mapping[str, str | int | bool | bytes], /) -> None: ...
    def unload_model(self, model: str, unload_dependents: bool, /) -> None: ...
    def is_model_ready(self, model: str, version: str, /) -> bool: ...
    def declare_metric(self, name: str, description: str, kind: str, /) -> None: ...
    def change_metric(
        self,
        family: str,
        labels: Sequence[tuple[str, str]],
        buckets: Sequence[float],
        change: str,
        value: float,
        /,
    ) -> float: ...

@final
class Replies:
    """The answers of another model."""

    def __iter__(self) -> Replies: ...
    def __next__(self) -> tuple[dict[str, Any] | None, tuple[str, str] | None, dict[str, Any]]: ...
    def cancel(self) -> None: ...

@final
class ModelProcess:
    """The process of an instance, until its model is published."""

    def call(self, method: str, argument: bytes, /) -> bytes: ...
    def close(self) -> None: ...

class _Worker(Protocol):
    started: tuple[Any, int, bytes, str] | None

    def call(self, method: str, argument: bytes, /) -> bytes: ...
    def close(self) -> None: ...

@final
class Channel:
    """The way from a model's process to its server."""

    def __new__(cls) -> Channel: ...
    def host(self) -> Host: ...
    def log(self, level: str, text: str, /) -> None: ...
    def serve(self, worker: _Worker, /) -> None: ...

@final
class LoadGenerator:
    """Asks servers, and measures."""

    def __new__(cls, *, threads: int = 1) -> LoadGenerator: ...
    def add(
        self,
        *,
        url: str,
        requests: Sequence[tuple[bytes, Sequence[tuple[str, str]]]],
        seconds: float,
        concurrency: int,
        rate: float | None = None,
        arrivals: str = "poisson",
        seed: int = 0,
        path: str = "",
        method: str = "POST",
        headers: Sequence[tuple[str, str]] = ...,
        timeout_s: float = 30.0,
        connections: int | None = None,
        authorities: PathLike[str] | None = None,
        certificate: PathLike[str] | None = None,
        key: PathLike[str] | None = None,
    ) -> None: ...
    def run(self) -> list[dict[str, Any]]: ...

def metric_catalogue() -> list[tuple[str, str, str]]: ...
