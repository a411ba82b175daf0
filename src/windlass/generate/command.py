"""The command line of a server: the same for a process of this machine, a container and a pod."""

from dataclasses import dataclass, field

from windlass.config.project.service import Service
from windlass.release import Release

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server listens, what it reads, and where it keeps things. The defaults are those of a container."""

    repository: str = "/models"
    host: str = "0.0.0.0"  # noqa: S104  (a container's own network; what is published is said elsewhere)
    http_port: int = 8000
    grpc_port: int = 8001
    metrics_port: int = 8002
    # A folder that outlives servers; none where everything goes with them, and keeping would only cost.
    cache: str | None = field(default=None, kw_only=True)


CONTAINER = Door()
KEEPING = Door(cache="/cache")


def command(release: Release, service: str, door: Door = CONTAINER) -> list[str]:
    """Return the words that start a server of a service, beginning with the program."""
    value = release.project.services[service]
    if value.runtime == "vllm":
        return _vllm(value, door)
    if value.runtime == "triton":
        return _triton(release, service, door)
    return _windlass(release, [service], door)


def command_of_all(release: Release, door: Door) -> list[str]:
    """Return the words that start one server for every service."""
    return _windlass(release, list(release.project.services), door)


def _windlass(release: Release, services: list[str], door: Door) -> list[str]:
    values = [release.project.services[name] for name in services]
    given: dict[str, Value | tuple[Value, ...]] = {
        "host": door.host,
        "http-port": door.http_port,
        "grpc-port": door.grpc_port,
        "metrics-port": door.metrics_port,
        "exit-timeout-secs": max(value.drain for value in values),
        "json-logs": True,
        **_compiled(values, door),
        **_traces(release),
        **_reloading(release),
    }
    for value in values:
        given |= value.options
    models = [model for name in services for model in served(release, name)]
    return ["windlass", "serve", door.repository, *_options(given), *_options({"model": tuple(models)})]


def _compiled(values: list[Service], door: Door) -> dict[str, Value | tuple[Value, ...]]:
    """Return what has engines find what they compiled at an earlier start. Half of the cache is for libraries."""
    if door.cache is None:
        return {}
    room = min(value.cache for value in values) // 2
    return {"compiled-cache": f"{door.cache}/compiled", "compiled-cache-size": room}


def _reloading(release: Release) -> dict[str, Value | tuple[Value, ...]]:
    """Return what makes servers load a model again when its files change: where models are worked on."""
    development = release.project.development
    at_hand = release.project.repository.path is not None and release.target.kind != "kubernetes"
    if development is None or not development.live_reload or not at_hand:
        return {}
    return {"model-control-mode": "poll", "repository-poll-secs": 2}


def served(release: Release, service: str) -> list[str]:
    """Return the models that a service is told to serve; none means all that its repository holds."""
    value = release.project.services[service]
    if value.models == ("*",):
        return []
    return [model.name for model in release.models.get(service, ())] or list(value.models)


def _traces(release: Release) -> dict[str, Value | tuple[Value, ...]]:
    traces = release.project.observability.traces
    if traces is None:
        return {}
    settings = ("mode=opentelemetry", f"opentelemetry,url={traces.url}", "level=TIMESTAMPS", f"rate={traces.rate}")
    return {"trace-config": settings}


def _triton(release: Release, service: str, door: Door) -> list[str]:
    value = release.project.services[service]
    given: dict[str, Value | tuple[Value, ...]] = {
        "model-repository": door.repository,
        "http-port": door.http_port,
        "grpc-port": door.grpc_port,
        "metrics-port": door.metrics_port,
        "exit-timeout-secs": round(value.drain),
        **_traces(release),
    }
    if models := served(release, service):
        given |= {"model-control-mode": "explicit", "load-model": tuple(models)}
    return ["tritonserver", *_options(given | value.options)]


def _vllm(value: Service, door: Door) -> list[str]:
    vllm = value.vllm
    if vllm is None:
        raise ValueError("this is a bug in windlass: a service of vLLM without what it serves was let through")
    model = f"{door.repository}/{vllm.model.removeprefix('./')}" if vllm.model.startswith("./") else vllm.model
    given: dict[str, Value | tuple[Value, ...]] = {"host": door.host, "port": door.http_port}
    if vllm.max_model_len:
        given["max-model-len"] = vllm.max_model_len
    if vllm.quantization:
        given["quantization"] = vllm.quantization
    if value.gpus and value.gpus.number > 1:
        given["tensor-parallel-size"] = value.gpus.number
    given |= {name.replace("_", "-"): argument for name, argument in vllm.arguments.items()}
    # vLLM's flags are there or not; a false one has a name of its own.
    flags = [f"--{name}" if flag else f"--no-{name}" for name, flag in given.items() if isinstance(flag, bool)]
    return ["vllm", "serve", model, *_options({k: v for k, v in given.items() if not isinstance(v, bool)}), *flags]


def _options(given: dict[str, Value | tuple[Value, ...]]) -> list[str]:
    """Write options as ``--name=value``, once for each value of a list."""
    return [
        f"--{name}={_shown(one)}"
        for name, value in given.items()
        for one in (value if isinstance(value, tuple) else (value,))
    ]


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
