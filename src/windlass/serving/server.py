"""``windlass.Server``: a repository, served. For programs and tests; the command line adds signals and a log."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import windlass
from windlass._plane import Plane
from windlass.backends.compiled import COMPILED, DEFAULT_BYTES, CompiledCache
from windlass.errors import RepositoryError, ServerError
from windlass.repository import ModelEntry, Reading, Snapshot, scan
from windlass.serving.control import Control
from windlass.serving.ensembles import with_steps
from windlass.serving.grpc import GrpcSettings
from windlass.serving.hosts import Policies, host_policies
from windlass.serving.limits import ResourceLimit
from windlass.serving.loader import Loader
from windlass.serving.opener import LoadSettings
from windlass.serving.poller import Poller

log = logging.getLogger("windlass")

# Settings that the data plane reads from their texts: what is told of requests, and to whom.
_OBSERVE = (
    "trace_config",
    "http_header_forward_pattern",
    "grpc_header_forward_pattern",
    "http_restricted_api",
    "grpc_restricted_protocol",
    "log_file",
    "log_info",
    "log_warning",
    "log_error",
    "log_verbose",
    "log_format",
    "metrics_config",
    "metrics_interval_ms",
    "cpu_metrics",
    "gpu_metrics",
)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a server is set up. A port of 0 takes a free one, ``None`` does not serve that door.

    ``control_mode`` is ``none`` (load everything, refuse load and unload over the network: the protocol's default),
    ``poll`` (the same, and look every ``poll_s`` seconds for what changed on disk) or ``explicit`` (load ``models``
    only, or all with ``*``, and obey the network). In the other modes ``models``, if any, are all that is served.

    ``config_name`` chooses ``configs/<name>.pbtxt`` of the models that have it. Without ``complete_config`` nothing is
    added to a configuration that its writer left out. ``client_shm`` lets clients on the same machine keep tensors in
    shared memory. ``cache_bytes`` of answers are kept for models with a ``response_cache``. With ``rate_limit``
    instances wait for the resources that the ``rate_limiter`` of their group names; there is as much of each as
    ``resource_limits`` say, or, when they say nothing, as the most demanding instance needs. A door without an address
    of its own is at ``host``. A network thread looks for more to do for ``busy_poll_us`` before it sleeps, where that
    saves waking it up.

    What engines compile is kept in the folder ``compiled_cache`` between starts, ``compiled_cache_bytes`` of it at
    most; without one every start compiles anew.

    ``host_policies``, ``trace_config``, ``metrics_config``, ``http_restricted_api`` and ``grpc_restricted_protocol``
    hold texts as the command line takes them: ``"level=TIMESTAMPS"``, ``"health,metadata:key=value"``.
    """

    host: str = "127.0.0.1"
    http_address: str | None = None
    grpc_address: str | None = None
    metrics_address: str | None = None
    http_port: int | None = 8000
    grpc_port: int | None = 8001
    metrics_port: int | None = 8002
    reuse_http_port: bool = False
    reuse_grpc_port: bool = False
    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    models: tuple[str, ...] = ()
    control_mode: str = "none"
    poll_s: float = 15.0
    config_name: str = ""
    complete_config: bool = True
    exit_on_error: bool = False
    exit_timeout_s: float = 30.0
    strict_readiness: bool = True
    client_shm: bool = False
    cache_bytes: int = 0
    rate_limit: bool = False
    resource_limits: tuple[ResourceLimit, ...] = ()
    http_max_input_bytes: int = 64 << 20
    reactors: int = 0
    busy_poll_us: int = 100
    load_threads: int = 4
    load_retries: int = 0
    server_id: str = "windlass"
    backend_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    host_policies: tuple[str, ...] = ()
    compiled_cache: str | Path | None = None
    compiled_cache_bytes: int = DEFAULT_BYTES
    trace_config: tuple[str, ...] = ()
    http_header_forward_pattern: str = ""
    grpc_header_forward_pattern: str = ""
    http_restricted_api: tuple[str, ...] = ()
    grpc_restricted_protocol: tuple[str, ...] = ()
    log_file: str = ""
    log_info: bool = True
    log_warning: bool = True
    log_error: bool = True
    log_verbose: int = 0
    log_format: str = "default"
    metrics_config: tuple[str, ...] = ()
    metrics_interval_ms: int = 2000
    cpu_metrics: bool = True
    gpu_metrics: bool = True


class Server:
    """A server over one or more model repositories.

    ``with Server("models", http_port=0) as server: ...`` serves until the block ends. Keyword arguments are the members
    of ``ServerSettings``. ``start`` raises ``RepositoryError`` for a folder that is none, and ``ServerError`` for a
    port that is taken or, with ``exit_on_error``, for a model that does not load.
    """

    def __init__(self, repository: str | Path | Sequence[str | Path], **settings: object) -> None:
        paths = [repository] if isinstance(repository, str | Path) else repository
        self.repositories = [Path(path) for path in paths]
        self.settings = ServerSettings(**settings)  # type: ignore[arg-type]
        self.addresses: dict[str, str] = {}
        self._plane: Plane | None = None
        self._loader: Loader | None = None
        self._poller: Poller | None = None
        # When it has to have ended.
        self._until: float | None = None
        self._control: Control | None = None
        self._policies: Policies = {}

    def start(self) -> Self:
        """Listen, load the models, and call the server ready. It is alive, but not ready, while models load."""
        settings = self.settings
        self._policies = host_policies(settings.host_policies)
        chosen = self._chosen(scan(self.repositories, self._reading()))
        control = Control(self.repositories, self._reading(), explicit=settings.control_mode == "explicit")
        plane = self._make_plane(control)
        control.set_log(
            *(getattr(settings, f"log_{name}") for name in ("info", "warning", "error", "verbose", "format"))
        )
        self._control = control
        try:
            self.addresses = plane.listen()
        except OSError as error:
            raise ServerError(str(error), hint="choose another port, or 0 for a free one") from None
        self._plane = plane
        self._loader = Loader(plane, self._load_settings())
        try:
            failed = self._loader.load_all(chosen)
            if failed and settings.exit_on_error:
                raise ServerError(f"failed to load all models: {', '.join(failed)}", hint="`windlass check` tells more")
        except BaseException:
            self.close()
            raise
        everything = "*" in settings.models
        control.attach(self._loader, [entry.name for entry in chosen if everything or entry.name in settings.models])
        plane.start()
        if settings.control_mode == "poll":
            self._poller = Poller(self._loader, self._look, settings.poll_s, chosen)
            self._poller.start()
        return self

    def _make_plane(self, control: Control) -> Plane:
        settings = self.settings
        observe = {name: getattr(settings, name) for name in _OBSERVE}
        try:
            return Plane(
                control,
                name=settings.server_id,
                version=windlass.__version__,
                http=self._address(settings.http_address, settings.http_port),
                grpc=self._address(settings.grpc_address, settings.grpc_port),
                metrics=self._address(settings.metrics_address, settings.metrics_port),
                reuse_http_port=settings.reuse_http_port,
                reuse_grpc_port=settings.reuse_grpc_port,
                grpc_settings=settings.grpc,
                reactors=settings.reactors,
                busy_poll_us=settings.busy_poll_us,
                http_max_input_bytes=settings.http_max_input_bytes,
                strict_readiness=settings.strict_readiness,
                client_shm=settings.client_shm,
                cache_bytes=settings.cache_bytes,
                rate_limits=self._rate_limits(),
                observe=observe,
            )
        except ValueError as error:
            raise ServerError(str(error), hint="`windlass serve --help` tells what the options take") from None

    def _address(self, own: str | None, port: int | None) -> str | None:
        if port is None:
            return None
        host = own or self.settings.host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _rate_limits(self) -> list[tuple[str, int, int | None]] | None:
        if not self.settings.rate_limit:
            return None
        return [(limit.name, limit.count, limit.device) for limit in self.settings.resource_limits]

    def _reading(self) -> Reading:
        return Reading(self.settings.config_name, self.settings.complete_config)

    def _load_settings(self) -> LoadSettings:
        settings = self.settings
        return LoadSettings(
            settings.backend_settings,
            settings.complete_config,
            settings.load_threads,
            settings.load_retries,
            settings.exit_timeout_s,
            self._policies,
            CompiledCache(Path(settings.compiled_cache) / COMPILED, settings.compiled_cache_bytes)
            if settings.compiled_cache
            else None,
        )

    def _look(self) -> Snapshot:
        """Read the repositories: what there is of what is to be served."""
        snapshot = scan(self.repositories, self._reading())
        names = self.settings.models
        if self.settings.control_mode == "explicit" or not names or "*" in names:
            return snapshot
        chosen = with_steps((name for name in names if name in snapshot.models), snapshot.models)
        return Snapshot({name: snapshot.models[name] for name in sorted(chosen)})

    def _chosen(self, snapshot: Snapshot) -> list[ModelEntry]:
        names, entries = self.settings.models, snapshot.models
        if "*" in names or (self.settings.control_mode != "explicit" and not names):
            return list(entries.values())
        if missing := [name for name in names if name not in entries]:
            raise RepositoryError(
                f"model `{missing[0]}` is not in {' or '.join(f'`{path}`' for path in self.repositories)}",
                found=", ".join(entries) or "no model",
            )
        return [entries[name] for name in with_steps(names, entries)]

    def _running(self) -> Loader:
        if self._loader is None:
            raise ServerError("the server is not running", hint="call `start()`, or use it in a `with` block")
        return self._loader

    def serving(self) -> dict[str, tuple[int, ...]]:
        """Return the versions in service by model."""
        return self._running().serving()

    def index(self) -> list[dict[str, str]]:
        """Return the repository index, as clients see it."""
        return self._plane.index() if self._plane else []

    def url(self, door: str = "http") -> str:
        """Return the address of ``http``, ``grpc`` or ``metrics`` as clients write it."""
        address = self.addresses[door]
        return address if door == "grpc" else f"http://{address}"

    def drain(self) -> bool:
        """Be unready at once and finish what is in flight; false when the time for that ran out."""
        self._until = time.monotonic() + self.settings.exit_timeout_s
        return self._plane.drain(self.settings.exit_timeout_s) if self._plane else True

    def close(self) -> None:
        """End at once, whatever is in flight. Models may say goodbye, for what is left of the time to exit."""
        if self._poller:
            self._poller.stop()
            self._poller = None
        if self._plane:
            left = self.settings.exit_timeout_s if self._until is None else self._until - time.monotonic()
            self._plane.close(max(left, 0.0))
        if self._control:
            self._control.close()
        self._plane = self._loader = self._control = None

    def stop(self) -> bool:
        """Drain, then close."""
        drained = self.drain()
        self.close()
        return drained

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
