"""What ``windlass optimize`` finds, against what people serve, and against trying everything.

From the PyTorch module on: FastAPI with gunicorn serves it eagerly, with one worker that has all threads and with a
worker for each core, of which the better counts; ``optimize`` has its budget; both are loaded by the same generator, in
turns, at the concurrency that suits each. Then every candidate that could still be better is served, one by one.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import modules, peers
from windlass.bench.load import Closed, Load, Request
from windlass.bench.load import measure as ask
from windlass.client import encode_request
from windlass.optimize.tune import Objective, Order, Outcome
from windlass.optimize.tune.beginning import begun
from windlass.optimize.tune.contest import Contest, Heat, promise_of
from windlass.optimize.tune.measure.servers import Servers
from windlass.optimize.tune.measure.turns import throughput
from windlass.optimize.tune.search.budget import Budget
from windlass.optimize.tune.search.decision import WORTH
from windlass.optimize.tune.search.halving import Rung
from windlass.optimize.tune.search.journal import Journal
from windlass.optimize.tune.space import OFF, Batching, Candidate, layouts
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.tuning import tune
from windlass.optimize.tune.workshop import Workshop
from windlass.repository import scan_model

BUDGETS_S = {"resnet50": 600.0, "bert": 600.0, "wide": 180.0, "local": 180.0}
WANTED = {"resnet50": 8.0, "bert": 4.5}
CONCURRENCIES = (1, 2, 4, 8, 16, 32)
# A served engine is not quicker than the engine in a loop: what is slower there by more than this cannot win.
BOUND = 0.85
MIN_COSINE = 0.99


def measure(seconds: float, rounds: int, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Measure each module; yields what it was compared with."""
    for name in names:
        yield from _one(name, seconds, rounds)


def _one(name: str, seconds: float, rounds: int) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as above:
        repository = Path(above) / "models"
        modules.write(repository, name)
        order = Order(
            entry=scan_model(repository / name),
            version=1,
            objective=Objective(),
            min_cosine=MIN_COSINE,
            budget_s=BUDGETS_S[name],
            work=Path(above) / "work",
        )
        with begun(order) as (study, journal):
            outcome = tune(study, journal, Budget.begin(study.budget_s, time.monotonic), _tell)
            yield _against_peer(name, study, outcome, seconds, rounds)
            yield _against_all(name, study, journal, outcome, seconds)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _against_peer(name: str, study: Study, outcome: Outcome, seconds: float, rounds: int) -> dict[str, Any]:
    """Load the module behind FastAPI and the winner in turns."""
    cores = len(os.sched_getaffinity(0))
    tried = {workers: _peer(name, workers, cores // workers, seconds, 1)[0] for workers in dict.fromkeys((1, cores))}
    workers = max(tried, key=lambda count: tried[count])
    rates, ours = [], []
    for _ in range(rounds):
        rates += _peer(name, workers, cores // workers, seconds, 1)
        ours.append(_winner(name, study, outcome, seconds))
    rate, own = statistics.median(rates), statistics.median(ours)
    assert outcome.winner is not None
    found = outcome.examined[outcome.winner.variant].accuracy
    return {
        "section": "optimize",
        "model": name,
        "winner": outcome.winner.name,
        "cosine": found.cosine if found else 1.0,
        "fastapi_per_s": rate,
        "fastapi_workers": workers,
        "served_per_s": own,
        "times": own / rate,
        "minutes": outcome.spent_s / 60,
    }


def _peer(name: str, workers: int, threads: int, seconds: float, rounds: int) -> list[float]:
    body = [modules.MODULES[name].row(seed).tobytes() for seed in range(8)]
    with _fastapi(name, workers, threads) as url:
        return [_best(url, "/predict", [Request(one) for one in body], seconds) for _ in range(rounds)]


def _winner(name: str, study: Study, outcome: Outcome, seconds: float) -> float:
    assert outcome.winner is not None
    inputs = [tensor.name for tensor in study.config.input]
    bodies = []
    for seed in range(8):
        body, length = encode_request({inputs[0]: modules.MODULES[name].row(seed)}, (), {})
        bodies.append(Request(body, {"Inference-Header-Content-Length": str(length)}))
    workshop = Workshop(study, Journal.open(study.folder / "again.jsonl", {}), lambda: 0.0)
    with Servers(study.folder, study.name, study.entry.path) as servers:
        winner = outcome.winner
        running = servers.of(winner, outcome.config, workshop.folder(winner.variant.artefact))
        return _best(running.http, f"/v2/models/{name}/infer", bodies, seconds)


def _best(url: str, path: str, requests: list[Request], seconds: float) -> float:
    """Return the most requests a second over rising concurrency; what gives nothing more ends it."""
    rates: list[float] = []
    for concurrency in CONCURRENCIES:
        load = Load(url=url, requests=requests, mode=Closed(concurrency), seconds=seconds, path=path, timeout_s=120.0)
        if not rates:
            ask(replace(load, seconds=seconds / 2))
        outcome = ask(load)
        if outcome.failed:
            raise SystemExit(f"error: {url} failed: {dict(outcome.failures)}")
        rates.append(throughput(concurrency, outcome))
        if len(rates) > 2 and rates[-1] < 1.02 * max(rates[:-1]) and rates[-2] < 1.02 * max(rates[:-2]):
            break
    return max(rates)


@contextlib.contextmanager
def _fastapi(name: str, workers: int, threads: int) -> Iterator[str]:
    """Serve a module; PyTorch is that of this environment, so that both sides start from the same."""
    programs = peers.environment("fastapi") / "bin"
    port = peers.free_ports(1)
    # Its own packages come first: only what it lacks is taken from here.
    own = next((programs.parent / "lib").glob("python3*")) / "site-packages"
    paths = [str(peers.ROOT), str(own), sysconfig.get_path("purelib"), *_shared()]
    environment = {"MODULE": name, "THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    words = ["-k", "uvicorn_worker.UvicornWorker", "-w", str(workers), "-b", f"127.0.0.1:{port}", "--timeout", "300"]
    log = peers.PEERS / "fastapi-module.log"
    with log.open("w") as sink:
        process = subprocess.Popen(
            [str(programs / "gunicorn"), *words, "--chdir", str(peers.SERVERS), "fastapi_module:app"],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        peers.wait("fastapi", process, f"http://127.0.0.1:{port}/v2/health/ready", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        peers.end(process)


def _shared() -> list[str]:
    """Return where else this interpreter finds packages."""
    return [path for path in sys.path if path.endswith("site-packages")]


def _against_all(name: str, study: Study, journal: Journal, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Serve every candidate of the space that the loop does not rule out, and the winner again among them."""
    assert outcome.winner is not None
    won = outcome.scores[outcome.winner].throughput
    field = _everything(study, outcome, won)
    _tell(f"{name}: serving all {len(field)} candidates that could be better")
    workshop = Workshop(study, journal, lambda: 0.0)
    endless = Budget.begin(1e9, lambda: 0.0)
    samples = study.questions.samples(study.config)
    with Servers(study.folder, study.name, study.entry.path) as servers:
        fresh = Journal.open(study.folder / "all.jsonl", {"all": name})
        contest = Contest(study, workshop, fresh, endless, servers, samples)

        def promise(candidate: Candidate) -> Any:
            return promise_of(candidate, outcome.examined.get(candidate.variant))

        ordered = contest.rung(Heat("all", field, Rung(len(field), 1, seconds / 2)), promise, _tell)
        near = list(dict.fromkeys([outcome.winner, *ordered[:4]]))
        last = contest.rung(Heat("nearest", near, Rung(len(near), 3, seconds)), promise, _tell)
        scores = contest.scores()
    best, single = last[0], [candidate for candidate in ordered if candidate.batching == OFF]
    return {
        "section": "optimize-all",
        "model": name,
        "candidates": len(field),
        "best": best.name,
        "best_per_s": scores[best].throughput,
        "chosen_per_s": scores[outcome.winner].throughput,
        "of_the_best": scores[outcome.winner].throughput / scores[best].throughput,
        "one_by_one_per_s": max((scores[candidate].throughput for candidate in single), default=0.0),
        "batched": outcome.winner.batching is not None and outcome.winner.batching.size > 1,
    }


def _everything(study: Study, outcome: Outcome, won: float) -> list[Candidate]:
    found: list[Candidate] = []
    for variant, examined in outcome.examined.items():
        if examined.reason or not examined.best or examined.best[1].rate < BOUND * won:
            continue
        for layout in layouts(study.machine, variant.device):
            laps = examined.laps.get(layout, ())
            found.append(Candidate(variant, layout, OFF))
            for lap in laps[1:]:
                delays = (0, round(lap.pass_s * 1e5), round(lap.pass_s * 5e5))
                found += [Candidate(variant, layout, Batching(lap.size, delay)) for delay in delays]
    return found


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals of the optimiser."""
    found = []
    for row in rows:
        if row["section"] == "optimize" and row["model"] in WANTED:
            wanted = WANTED[row["model"]]
            found.append(
                _goal(
                    f"optimize {row['model']}: served against FastAPI with gunicorn",
                    f">= {wanted}",
                    row["times"],
                    row["times"] >= wanted,
                )
            )
            found.append(_goal(f"optimize {row['model']}: minutes", "<= 10", row["minutes"], row["minutes"] <= 10))
        if row["section"] == "optimize-all":
            share = row["of_the_best"]
            found.append(
                _goal(f"optimize {row['model']}: of the best of all candidates", ">= 0.95", share, share >= 0.95)
            )
        if row["section"] == "optimize-all" and row["model"] == "wide":
            times = row["chosen_per_s"] / row["one_by_one_per_s"]
            found.append(_goal("batching where it pays: against one by one", ">= 3", times, times >= 3))
        if row["section"] == "optimize-all" and row["model"] == "local":
            times = row["chosen_per_s"] / row["one_by_one_per_s"]
            pays = not row["batched"] or times > WORTH
            found.append(_goal("batching only where it pays: against one by one", f"off, or > {WORTH:g}", times, pays))
    return found


def _goal(goal: str, wanted: str, value: float, reached: bool) -> dict[str, Any]:
    return {"goal": goal, "wanted": wanted, "found": value, "reached": reached}
