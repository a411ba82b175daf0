"""What the features cost: processes of models, ensembles, the cache, traces, streams, shared memory."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load, models, peers, sockets, streams

LOOKING = "a client that looks on"
IN_PROCESS = 'parameters { key: "isolated" value { string_value: "false" } }\n'


def ensemble(*steps: str) -> str:
    """Return the configuration of an ensemble of the tiny models of those names, one behind the other."""
    names = ["INPUT0", *(f"after_{step}" for step in steps[:-1]), "OUTPUT0"]
    scheduled = "".join(
        f'step {{ model_name: "{step}" model_version: -1 input_map {{ key: "INPUT0" value: "{given}" }} '
        f'output_map {{ key: "OUTPUT0" value: "{made}" }} }}\n'
        for step, given, made in zip(steps, names, names[1:], strict=False)
    )
    return f"""platform: "ensemble"
max_batch_size: 64
input {{ name: "INPUT0" data_type: TYPE_FP32 dims: 16 }}
output {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: 16 }}
ensemble_scheduling {{
{scheduled}}}
"""


PATH = "/v2/models/{}/infer"
# What is measured with which options of the server, and the model that is asked for it.
SERVED: dict[tuple[str, ...], dict[str, str]] = {
    ("--cache-config=local,size=16777216",): {
        "isolated": "isolated",
        "one": "one",
        "ensemble": "ensemble",
        "cached": "cached",
        "function": "function",
        "ensemble of functions": "ensemble_of_functions",
    },
    ("--trace-config=level=TIMESTAMPS", "--trace-config=rate=1000000000", "--trace-config=triton,file=/dev/null"): {
        "one, traces on, none followed": "one"
    },
}


def measure(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Measure every feature against what it is compared with, in turns."""
    return [*_requests(seconds, rounds), *streams.measure(rounds), *_shared_memory(seconds, rounds)]


def _requests(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """The tiny model in its own process, in the server's, an ensemble, out of the cache, beside traces."""
    found: dict[tuple[str, int], list[load.Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        config = models.TINY_CONFIG
        models.write(repository, "isolated", models.TINY, config)
        for name in ("one", "first", "second", "third"):
            models.write(repository, name, models.TINY, config + IN_PROCESS)
        models.write(repository, "cached", models.TINY, config + "response_cache { enable: true }\n")
        models.write(repository, "ensemble", "", ensemble("first", "second", "third"))
        functions = ("function", "function_2", "function_3")
        for name in functions:
            models.write(repository, name, models.FUNCTION, f'backend: "python"\n{IN_PROCESS}')
        models.write(repository, "ensemble_of_functions", "", ensemble(*functions))
        for _ in range(rounds):
            for server_options, served in SERVED.items():
                with peers.running("windlass", repository, *server_options) as server:
                    for what, name in served.items():
                        target = peers.Running(server.pid, server.http, server.grpc, PATH.format(name))
                        load.check(target)
                        load.wrk(target, 16, 1)
                        for count in (1, 64):
                            found.setdefault((what, count), []).append(load.wrk(target, count, seconds))
    return [
        {
            "section": "features",
            "what": name,
            "connections": count,
            **{key: statistics.median(getattr(one, key) for one in times) for key in ("rate", "p50_us", "cpu_s")},
        }
        for (name, count), times in found.items()
    ]


def _shared_memory(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Round trips with a 602 KB tensor that lies in shared memory, at one connection, beside those of the tiny request.

    With two clients: wrk, which sleeps until there is an answer, and one that looks on.
    """
    from tritonclient import http
    from tritonclient.utils import shared_memory

    from benchmarks.image import MODEL, SHAPE

    image = np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    lent = (
        '{"inputs":[{"name":"image","shape":[3,224,224],"datatype":"FP32","parameters":'
        f'{{"shared_memory_region":"image","shared_memory_byte_size":{image.nbytes}}}}}]}}'
    )
    bodies = {"602 KB through shared memory": ("image", lent), "tiny": ("tiny", models.BODY)}
    found: dict[str, list[float]] = {}
    for place, config in (("isolated", ""), ("in process", f'backend: "python"\n{IN_PROCESS}')):
        with tempfile.TemporaryDirectory() as folder:
            models.write(Path(folder), "image", MODEL, config)
            models.write(Path(folder), "tiny", models.FUNCTION, config)
            with peers.running("windlass", Path(folder), "--allow-client-shm=true") as server:
                region = shared_memory.create_shared_memory_region("image", "/windlass_benchmark", image.nbytes)
                try:
                    shared_memory.set_shared_memory_region(region, [image])
                    client = http.InferenceServerClient(f"127.0.0.1:{server.http}")
                    client.register_system_shared_memory("image", "/windlass_benchmark", image.nbytes)
                    for what, (name, body) in rounds * list(bodies.items()):
                        path = PATH.format(name)
                        target = peers.Running(server.pid, server.http, server.grpc, path)
                        request = sockets.json_request(path, body)
                        times = {
                            f"{what}, {place}": load.wrk(target, 1, seconds, body).p50_us,
                            f"{what}, {place}, {LOOKING}": sockets.watch(server.http, request, seconds),
                        }
                        for key, time in times.items():
                            found.setdefault(key, []).append(time)
                finally:
                    shared_memory.destroy_shared_memory_region(region)
    return [
        {"section": "features", "what": what, "connections": 1, "p50_us": statistics.median(times)}
        for what, times in found.items()
    ]


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for the features."""
    by = {(row["what"], row.get("connections")): row for row in rows if row["section"] == "features"}
    if not by:
        return []

    def of(what: str, connections: int | None, key: str) -> float:
        return float(by[(what, connections)][key])

    checks = [
        ("a process of its own: microseconds of p50, 1 connection", "<=", 60.0,
         of("isolated", 1, "p50_us") - of("one", 1, "p50_us")),
        ("an ensemble of three against one: p50, 1 connection", "<=", 1.5,
         of("ensemble", 1, "p50_us") / of("one", 1, "p50_us")),
        ("an ensemble of three against one: CPU per request, 64 connections", "<=", 1.5,
         of("ensemble", 64, "cpu_s") / of("one", 64, "cpu_s")),
        ("an ensemble of three functions against one: p50, 1 connection", "<=", 1.5,
         of("ensemble of functions", 1, "p50_us") / of("function", 1, "p50_us")),
        ("an ensemble of three functions against one: CPU per request, 64 connections", "<=", 1.5,
         of("ensemble of functions", 64, "cpu_s") / of("function", 64, "cpu_s")),
        ("a cache hit against a bare request: p50, 1 connection", "<=", 1.0,
         of("cached", 1, "p50_us") / of("one", 1, "p50_us")),
        ("traces on, none followed, against off: CPU per request, 64 connections", "<=", 1.03,
         of("one, traces on, none followed", 64, "cpu_s") / of("one", 64, "cpu_s")),
        *(
            (f"602 KB through shared memory, {how}: microseconds of a round trip", "<=", 100.0,
             of(f"602 KB through shared memory, {how}", 1, "p50_us"))
            for how in (f"in process, {LOOKING}", "in process", f"isolated, {LOOKING}", "isolated")
        ),
    ]  # fmt: skip
    found = [
        {
            "goal": text,
            "wanted": f"{sign} {limit:g}",
            "found": found,
            "reached": found >= limit if sign == ">=" else found <= limit,
        }
        for text, sign, limit, found in checks
    ]
    return [*found, *streams.goals(rows)]
