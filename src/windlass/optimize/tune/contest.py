"""The few that lead, served: rungs of successive halving, a look around the best, and a last comparison."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from windlass.errors import WindlassError
from windlass.optimize.tune.measure.servers import Servers
from windlass.optimize.tune.measure.turns import Turn, requests, take
from windlass.optimize.tune.search.budget import Budget
from windlass.optimize.tune.search.halving import Rung, order
from windlass.optimize.tune.search.journal import Journal
from windlass.optimize.tune.search.knee import Bounds
from windlass.optimize.tune.search.objective import Score, Served, ranked, score
from windlass.optimize.tune.space import Candidate
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.trials import Examined, TurnTaken
from windlass.optimize.tune.workshop import Workshop
from windlass.samples import Samples

Tell = Callable[[str], None]

# A window has room for so many executions: fewer make p99 and throughput a matter of luck.
PASSES, FIRST_PASSES = 12, 5
LONGEST_WINDOW_S = 10.0
AS_CONFIGURED = 4


@dataclass(slots=True)
class Stand:
    """Where candidates stand: the turns of the last rung that each was in, and the name of that rung."""

    turns: dict[Candidate, list[TurnTaken]] = field(default_factory=dict)
    rung: dict[Candidate, str] = field(default_factory=dict)

    def enter(self, candidate: Candidate, rung: str, taken: TurnTaken) -> None:
        """Note a turn. A new rung counts alone: its windows are longer."""
        if self.rung.get(candidate) != rung:
            self.turns[candidate] = []
            self.rung[candidate] = rung
        self.turns[candidate].append(taken)


@dataclass(frozen=True, slots=True)
class Heat:
    """A rung by its name: who takes part, how, and how much of the budget is kept for what comes after it."""

    name: str
    field: Sequence[Candidate]
    plan: Rung
    reserve_s: float = 0.0


class Contest:
    """Has candidates served and measured in turns, as far as the budget goes."""

    def __init__(
        self, study: Study, workshop: Workshop, journal: Journal, budget: Budget, servers: Servers, samples: Samples
    ) -> None:
        self._study = study
        self._workshop = workshop
        self._journal = journal
        self._budget = budget
        self._servers = servers
        self._requests = requests(samples)
        self.stand = Stand()

    def scores(self, candidates: Iterable[Candidate] | None = None) -> dict[Candidate, Score]:
        """Return how candidates, or all, did in the last rung they were in."""
        objective = self._study.objective
        chosen = self.stand.turns if candidates is None else candidates
        return {
            candidate: score([taken.served for taken in self.stand.turns[candidate]], objective)
            for candidate in chosen
            if candidate in self.stand.turns
        }

    @property
    def start_s(self) -> float:
        """How long the start of a server has taken at most."""
        return self._servers.start_s

    def rung(self, heat: "Heat", promise: Callable[[Candidate], "Promise"], tell: Tell) -> list[Candidate]:
        """Let candidates take their turns; returns those that are within the limits, the best first.

        When the time is over what was measured until then counts, also for a run with the same budget after it.
        """
        over = f"{heat.name}: {self._budget.total_s:g} s were over"
        for turn in range(heat.plan.turns):
            for candidate in order(heat.field, self._study.seed, heat.name, turn):
                if self._is_out(candidate, heat.name, turn):
                    continue
                trial = f"{heat.name}, turn {turn + 1}: {candidate.name}"
                if trial not in self._journal and (over in self._journal or self._budget.left_s <= heat.reserve_s):
                    if over not in self._journal:
                        self._journal.add(over, True, self._budget.spent_s)
                    return self._ranked(heat.field)
                taken = self._turn(trial, candidate, heat.plan.window_s, promise(candidate))
                self.stand.enter(candidate, heat.name, taken)
                tell(f"{trial}: {self._said(taken)}")
        found = self._ranked(heat.field)
        for candidate in set(heat.field) - set(found[: (len(heat.field) + 1) // 2]):
            self._servers.end(candidate)
        return found

    def _is_out(self, candidate: Candidate, rung: str, turn: int) -> bool:
        """A candidate that failed in the first turn of a rung gets no second one."""
        if not turn or self.stand.rung.get(candidate) != rung:
            return False
        return all(taken.served.best is None for taken in self.stand.turns[candidate])

    def _ranked(self, field_: Sequence[Candidate]) -> list[Candidate]:
        return ranked(self.scores(field_))

    def _turn(self, trial: str, candidate: Candidate, window_s: float, promise: "Promise") -> TurnTaken:
        if trial in self._journal:
            return TurnTaken.of(candidate, self._journal.result(trial))
        taken = self._measured(candidate, window_s, promise)
        self._journal.add(trial, taken.plain(), self._budget.spent_s)
        return taken

    def _measured(self, candidate: Candidate, window_s: float, promise: "Promise") -> TurnTaken:
        artefact = candidate.variant.artefact
        try:
            # An earlier run that came to its end has thrown its files away.
            made = self._workshop.make(artefact, self._budget.left_s)
            if made.reason:
                return TurnTaken(candidate, (), Served(None, 0, made.reason))
            running = self._servers.of(
                candidate, self._workshop.configuration(candidate), self._workshop.folder(artefact)
            )
        except TimeoutError:
            return TurnTaken(candidate, (), Served(None, 0, "there was no time left to make its files again"))
        except WindlassError as error:
            reason = f"{error.message}: {error.found}" if error.found else error.message
            return TurnTaken(candidate, (), Served(None, 0, reason))
        passes = PASSES if candidate in self.stand.turns else FIRST_PASSES
        window_s = min(max(window_s, passes * promise.pass_s), LONGEST_WINDOW_S)
        points, served = take(
            running, self._study.name, self._requests, Turn(self._bounds(candidate, promise), window_s)
        )
        return TurnTaken(candidate, tuple(points), served)

    def _bounds(self, candidate: Candidate, promise: "Promise") -> Bounds:
        """Return to the knee where it is known; else begin where the loop's rate says that it is."""
        limit_us = self._study.objective.latency_p99_us
        before = [taken.served.best for taken in self.stand.turns.get(candidate, ()) if taken.served.best]
        if before:
            return Bounds(before[-1].concurrency, limit_us=limit_us, points=1 if limit_us is None else 2)
        start = promise.concurrency
        if limit_us is not None and promise.rate:
            # By Little's law; half of it, since p99 is what is limited, and not the mean.
            start = min(start, max(1, int(promise.rate * limit_us / 1e6 * 0.5)))
        return Bounds(start, limit_us=limit_us, points=4)

    def _said(self, taken: TurnTaken) -> str:
        best = taken.served.best
        if best is None:
            return taken.served.reason
        return f"{best.throughput:,.1f}/s at {best.concurrency} at a time, p99 {best.p99_us / 1000:,.1f} ms"


@dataclass(frozen=True, slots=True)
class Promise:
    """What the loop says of a candidate before it is served."""

    rate: float
    pass_s: float
    concurrency: int


def promise_of(candidate: Candidate, examined: Examined | None) -> Promise:
    """Return what to expect of a candidate: two batches for each instance keep it busy."""
    # The original may batch as it likes: so many at a time show it.
    size = candidate.batching.size if candidate.batching else AS_CONFIGURED
    count = candidate.layout.instances if candidate.layout else 1
    laps = examined.laps.get(candidate.layout, ()) if examined and candidate.layout else ()
    if not laps and examined and examined.best:
        laps = (examined.best[1],)
    if not laps:
        return Promise(0.0, 0.0, max(4, 2 * size * count))
    lap = min(laps, key=lambda lap: abs(lap.size - size))
    return Promise(lap.rate, lap.pass_s * size / lap.size, max(2, 2 * size * count))
