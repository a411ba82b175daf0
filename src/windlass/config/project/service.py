"""A service: a group of models in servers of their own, with what they run on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from windlass.config.project.part import Part
from windlass.config.project.quantities import Bytes, Cron, Duration, EnvironmentName, Name, Percent, SecretName

Runtime = Literal["windlass", "triton", "vllm"]
Backend = Literal["onnxruntime", "openvino", "pytorch", "python"]


class Gpus(Part):
    """GPUs of each replica: which, how many, and whether others use them too."""

    count: int | None = Field(default=None, ge=1, le=64)
    """How many GPUs each replica gets. Whichever are free; on Compose the first ones."""
    ids: tuple[int, ...] = ()
    """The GPUs by number, instead of `count`: for one machine, whose GPUs are divided by hand."""
    share: Literal["exclusive", "mps", "time-slicing"] = "exclusive"
    """Whether other services may use the same GPUs, and how their work is interleaved: by NVIDIA's MPS (at the same
    time, with a memory limit each) or in turns."""
    memory: Bytes | None = None
    """How much memory of a shared GPU this service may take. Held by MPS; told to the runtime otherwise."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.count is None) == (not self.ids):
            raise ValueError("expected either `count` or `ids`")
        if len(set(self.ids)) != len(self.ids) or any(number < 0 for number in self.ids):
            raise ValueError(f"expected different numbers from 0 in `ids`, got {list(self.ids)}")
        if self.memory is not None and self.share == "exclusive":
            raise ValueError("`memory` limits a shared GPU: add `share: mps` or `share: time-slicing`, or leave it out")
        return self

    @property
    def number(self) -> int:
        """How many GPUs a replica sees."""
        return self.count or len(self.ids)


class Schedule(Part):
    """Another number of replicas from a certain time on."""

    cron: Cron
    """When, as five fields of cron."""
    min: int = Field(ge=0)
    """At least this many replicas from then on."""
    max: int | None = Field(default=None, ge=1)
    """At most this many, where that changes too."""
    time_zone: str = "Etc/UTC"
    """The time zone of `cron`."""


class Autoscale(Part):
    """Replicas that follow the load. With several measures the one that asks for most decides."""

    min: int = Field(default=1, ge=0)
    """At least this many replicas."""
    max: int = Field(ge=1)
    """At most this many replicas."""
    cpu: Percent | None = None
    """The CPU use to hold, in percent of what a replica requests."""
    gpu: Percent | None = None
    """The GPU use to hold, in percent (measured by the DCGM exporter)."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """The requests per second and replica to hold."""
    calm: Duration = 300.0
    """How long the load must have been lower before replicas are taken away."""
    schedule: tuple[Schedule, ...] = ()
    """Bounds that change with the time of day."""

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"`min` ({self.min}) is greater than `max` ({self.max})")
        if self.cpu is self.gpu is self.requests_per_second is None and not self.schedule:
            raise ValueError("expected at least one of `cpu`, `gpu`, `requests_per_second`, `schedule`")
        above = [one for one in self.schedule if one.min > (one.max or self.max)]
        if above:
            most = above[0].max or self.max
            raise ValueError(f"a schedule wants at least {above[0].min} replicas, and at most {most}")
        return self


class Placement(Part):
    """Which nodes of a cluster a service may run on."""

    node_selector: dict[str, str] = {}
    """Labels that a node must have."""
    spot: bool = False
    """Whether nodes that may vanish (spot, preemptible) will do."""
    spread: Literal["host", "zone", "none"] = "host"
    """Over what replicas are spread."""
    runtime_class: str | None = None
    """The container runtime of the pods, such as `nvidia`, `gvisor` or `kata`."""


class Caller(Part):
    """Who may call a service inside a cluster, besides the gateway and what measures it."""

    namespace: Name | None = None
    """The namespace of the caller; the project's own where left out."""
    labels: dict[str, str] = {}
    """Labels of the caller's pods; all pods of the namespace where left out."""


class Vllm(Part):
    """What vLLM's image serves."""

    model: str
    """A model of the Hugging Face hub; or, beginning with `./`, a folder of the model repository."""
    max_model_len: int | None = Field(default=None, ge=1)
    """The longest context, in tokens."""
    quantization: str | None = None
    """A quantisation that vLLM knows, such as `awq`."""
    token: SecretName | None = None
    """The secret with the hub's token, where the model asks for one."""
    arguments: dict[EnvironmentName, str | int | float | bool] = {}
    """Further options of `vllm serve`, without the dashes: `enable_prefix_caching: true`."""


class SecretReference(Part):
    """A value that is a secret."""

    secret: SecretName
    """The name of one of the project's `secrets`."""


class Service(Part):
    """A group of models that is deployed, scaled and limited together."""

    models: tuple[str, ...] = ("*",)
    """Names of models in the repository; `*` stands for any characters."""
    runtime: Runtime = "windlass"
    """What serves them: windlass, NVIDIA's Triton image, or vLLM's image for a language model."""
    image: str | None = None
    """The image to run, where none is to be built: for `triton` and `vllm` another release than the usual one."""
    backends: tuple[Backend, ...] = ()
    """The backends the image must have; found in the repository where that is a folder."""
    requirements: str | None = None
    """A requirements file whose packages the models' Python code needs."""
    bake: bool = False
    """Whether the models are part of the image. Otherwise they are a volume, mounted read-only."""
    gpus: Gpus | None = None
    """The GPUs of each replica; none where left out."""
    cpus: float | None = Field(default=None, gt=0)
    """CPU cores of each replica."""
    memory: Bytes | None = None
    """Memory of each replica."""
    shared_memory: Bytes = 268435456
    """Size of `/dev/shm`, through which model processes get their tensors."""
    replicas: int = Field(default=1, ge=0, le=1000)
    """How many servers run the same models."""
    autoscale: Autoscale | None = None
    """Replicas that follow the load, instead of `replicas`."""
    options: dict[str, str | int | float | bool | tuple[str | int | float, ...]] = {}
    """Options of `windlass serve` (or of `tritonserver`), without the dashes: `model-control-mode: poll`."""
    environment: dict[EnvironmentName, str | int | float | bool | SecretReference] = {}
    """Environment variables; `{secret: NAME}` for those that are secret."""
    vllm: Vllm | None = None
    """What is served, for the runtime `vllm`."""
    stateful: bool = False
    """Whether replicas keep names and a volume of their own for what they write."""
    cache: Bytes = 10737418240
    """Room for compiled models and environments, which makes restarts short."""
    startup: Duration = 600.0
    """How long a server may take to load its models before it is given up."""
    drain: Duration = 30.0
    """How long a server that is to stop may take to finish what it has begun."""
    placement: Placement = Placement()
    """Which nodes of a cluster it may run on."""
    callers: tuple[Caller, ...] = ()
    """Who else may call it inside a cluster."""
    tenant: Name | None = None
    """The tenant it belongs to, one of `tenants`."""

    @model_validator(mode="after")
    def _runtime_has_what_it_needs(self) -> Self:
        if (self.runtime == "vllm") != (self.vllm is not None):
            raise ValueError("`runtime: vllm` and the mapping `vllm` go together: give both or neither")
        if self.runtime != "windlass" and self.bake and self.image:
            raise ValueError("`bake` puts models into an image that is built, and `image` names one that is not")
        return self
