"""Project files as hypothesis makes them: anything that is right, in odd combinations."""

from typing import Any

from hypothesis import strategies as st

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
# Values that break what is written carelessly: quotes, colons, dollars, braces, words that YAML takes for others.
TEXTS = st.one_of(
    st.sampled_from(
        ["yes", "on", "08:30", "null", "1e3", "a: b", "#no comment", "'", '"', "$HOME", "${X}", "{{ x }}", "%d"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20),
)
SIZES = st.sampled_from(["64MiB", "1GiB", "1.5GiB", "16GB", 536870912])
TIMES = st.sampled_from(["500ms", "30s", "1m30s", "10m", "2h"])
# What lies in the repository.
MODELS = ("one", "two", "three", "four")
SECRETS = ("first", "second")
PLACES = [
    {"file": "secrets/one"},
    {"environment": "ONE"},
    {"external": {"store": "vault", "key": "ml/one"}},
    {"csi": {"provider": "vault", "parameters": {"roleName": "ml"}, "object": "one"}},
    {"existing": {"name": "kept", "key": "one"}},
]


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with any of these members."""
    return st.fixed_dictionaries({}, optional=members)


def services(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """A service of models, on what a target of a kind has."""
    gpus = st.one_of(
        st.builds(dict, count=st.integers(1, 4)),
        st.builds(dict, count=st.just(1), share=st.sampled_from(["mps", "time-slicing"]), memory=SIZES),
    )
    autoscale = st.builds(
        dict,
        min=st.integers(0, 2),
        max=st.integers(2, 9),
        cpu=st.integers(1, 100),
        schedule=st.lists(st.builds(dict, cron=st.just("0 7 * * 1-5"), min=st.integers(0, 2)), max_size=2),
    ) | st.builds(dict, max=st.integers(1, 9), requests_per_second=st.floats(0.5, 1e4), gpu=st.integers(1, 100))
    members = {
        "gpus": gpus,
        "cpus": st.sampled_from([0.25, 1, 2.5, 16]),
        "memory": SIZES,
        "shared_memory": SIZES,
        "replicas": st.integers(0, 5),
        "environment": st.dictionaries(
            st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
            TEXTS | st.integers() | st.booleans() | st.sampled_from([{"secret": name} for name in SECRETS]),
            max_size=4,
        ),
        "options": st.sampled_from(
            [{}, {"log-verbose": 1}, {"model-control-mode": "poll", "repository-poll-secs": 2.5}]
        ),
        "stateful": st.booleans(),
        "bake": st.booleans(),
        "startup": TIMES,
        "drain": TIMES,
        "cache": SIZES,
        "placement": some(
            node_selector=st.dictionaries(NAMES, NAMES, max_size=2),
            spot=st.booleans(),
            spread=st.sampled_from(["host", "zone", "none"]),
            runtime_class=st.sampled_from(["nvidia", "gvisor"]),
        ),
        "callers": st.lists(some(namespace=NAMES, labels=st.dictionaries(NAMES, NAMES, max_size=2)), max_size=2),
        "tenant": st.just("acme"),
    }
    if kind == "kubernetes":
        members["autoscale"] = autoscale
    return some(**members)


LLM = st.builds(
    dict,
    runtime=st.just("vllm"),
    gpus=st.builds(dict, count=st.integers(1, 4)),
    vllm=st.fixed_dictionaries(
        {"model": st.sampled_from(["Qwen/Qwen3-8B", "./llm"])},
        optional={
            "max_model_len": st.integers(1, 1 << 17),
            "token": st.sampled_from(SECRETS),
            "arguments": st.sampled_from([{}, {"enable_prefix_caching": True, "swap_space": 4}]),
        },
    ),
)
GATEWAYS = some(
    host=st.sampled_from(["models.example.com", "localhost"]),
    bind=st.just("127.0.0.1"),
    tls=st.fixed_dictionaries(
        {"certificate": st.just("first"), "key": st.just("second")},
        optional={"minimum": st.sampled_from(["1.2", "1.3"]), "client_ca": st.just("first")},
    ),
    auth=st.sampled_from([{"basic": "first"}, {"keys": "second"}]),
    rate_limit=st.fixed_dictionaries(
        {"requests_per_second": st.sampled_from([0.5, 1, 50, 2000])},
        optional={"burst": st.integers(0, 500), "connections": st.integers(1, 100)},
    ),
    max_body=SIZES,
    timeouts=some(connect=TIMES, read=TIMES, send=TIMES),
    allow=st.lists(st.sampled_from(["10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32"]), max_size=3, unique=True),
)
WATCHED = some(
    prometheus=some(scrape_interval=TIMES, retention=st.sampled_from(["1d", "15d"])),
    grafana=some(password=st.sampled_from(SECRETS)),
    alerts=some(p99=TIMES, error_rate=st.floats(0.001, 0.5), queue=TIMES, after=TIMES, to=st.sampled_from(SECRETS)),
    logs=st.one_of(
        st.just({"ship": "fluent-bit", "to": "forward://logs.example.com:24224"}),
        st.just({"ship": "elk", "to": "http://elastic.example.com:9200", "credentials": "first"}),
        st.just({"max_size": "5m", "max_files": 2}),
    ),
    traces=st.builds(dict, url=st.just("http://otel.example.com:4318/v1/traces"), rate=st.integers(1, 10_000)),
    dcgm=st.booleans(),
    cadvisor=st.booleans(),
)
SECURITY = some(
    profile=st.sampled_from(["baseline", "restricted"]),
    sandbox=st.sampled_from(["gvisor", "kata"]),
    runtime_rules=st.booleans(),
    pids=st.integers(16, 5000),
)
IMAGES = some(
    registry=st.sampled_from(["registry.example.com/ml", "localhost:5000"]),
    tag=st.sampled_from(["1.2.3", "latest"]),
    python=st.sampled_from(["3.11", "3.12", "3.13"]),
    system_packages=st.just(["libgl1"]),
    user=st.integers(1, 65534),
)
DEVELOPMENT = some(
    jupyter=st.booleans(),
    token=st.sampled_from(SECRETS),
    live_reload=st.booleans(),
    ssh=st.just({"authorized_keys": "keys.pub"}),
    packages=st.just(["matplotlib"]),
)
ROUTES = st.sampled_from(
    [
        {"kind": "gateway-api"},
        {"kind": "gateway-api", "class_name": "envoy", "gateway": "infra/shared"},
        {"kind": "istio"},
        {"kind": "istio", "gateway": "infra/shared", "mutual_tls": False},
        {"kind": "nginx", "service_type": "LoadBalancer"},
    ]
)
TARGETS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "local": st.just({"kind": "local"}),
    "compose": st.just({"kind": "compose"}),
    "kubernetes": st.fixed_dictionaries(
        {"kind": st.just("kubernetes"), "namespace": NAMES},
        optional={
            "layout": st.sampled_from(["plain", "kustomize", "helm"]),
            "route": ROUTES,
            "linkerd": st.booleans(),
            "storage_class": NAMES,
            "read_write_many": st.booleans(),
            "pull_secret": NAMES,
            "service_monitor": st.booleans(),
            "external_metrics": st.booleans(),
        },
    ),
}


@st.composite
def projects(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """A project file, as a value, whose only target is of a kind. Its services serve one of `MODELS` each."""
    count = draw(st.integers(1, 4))
    names = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    served = {name: {"models": [model], **draw(services(kind))} for name, model in zip(names, MODELS, strict=False)}
    if kind != "local" and draw(st.booleans()):
        served["llm-of-all"] = draw(LLM)
    # A cluster does not see this machine's folders: models are in the image, in a bucket or on a volume.
    elsewhere = st.sampled_from(
        [{"url": "s3://models/all"}, {"url": "gs://models", "credentials": "first"}, {"volume": "models"}]
    )
    repository = draw(elsewhere | st.just({"path": "models"})) if kind == "kubernetes" else {"path": "models"}
    for service in served.values() if kind == "kubernetes" or "path" not in repository else ():
        if "vllm" not in service or service["vllm"]["model"].startswith("./"):
            service["bake"] = "path" in repository
    project: dict[str, Any] = {
        "repository": repository,
        "name": draw(NAMES),
        "services": served,
        # A machine reads files and its environment only.
        "secrets": {name: draw(st.sampled_from(PLACES if kind == "kubernetes" else PLACES[:2])) for name in SECRETS},
        "tenants": {
            "acme": draw(some(quota=some(cpus=st.integers(1, 64), memory=st.just("64Gi"), pods=st.integers(1, 50))))
        },
        "targets": {"there": draw(TARGETS[kind])},
    }
    parts = some(
        gateway=GATEWAYS,
        observability=WATCHED,
        security=SECURITY,
        image=IMAGES,
        development=DEVELOPMENT,
        rollout=some(strategy=st.sampled_from(["rolling", "canary", "blue-green"]), steps=st.just([10, 50])),
    )
    made = project | draw(parts)
    if kind == "kubernetes":
        _fit_cluster(made)
    elif kind == "compose":
        _fit_machine(made)
    return made


def _fit_machine(project: dict[str, Any]) -> None:
    """Give what one machine needs: limits for quotas, figures for what shows them."""
    project["tenants"] = {"acme": {}}
    watched = project.get("observability", {})
    if watched.keys() & {"grafana", "alerts"}:
        watched.setdefault("prometheus", {})


def _fit_cluster(project: dict[str, Any]) -> None:
    """Take away what a cluster's own routes and metrics cannot do, which is told as an error."""
    target = project["targets"]["there"]
    target.pop("external_metrics", None)
    gateway = project.get("gateway") or {}
    if target.get("route", {}).get("kind") != "nginx":
        for key in ("auth", "rate_limit", "max_body", "allow", "timeouts", "tls"):
            gateway.pop(key, None)
