"""``tune``: from a study to an outcome. Survey, contest, a look around the leader, and a last comparison."""

from collections.abc import Callable, Mapping, Sequence

from windlass.optimize.tune.contest import Contest, Heat, Promise, promise_of
from windlass.optimize.tune.measure.servers import Servers
from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.search.budget import Budget
from windlass.optimize.tune.search.decision import decided
from windlass.optimize.tune.search.halving import Rung, around, last, rungs
from windlass.optimize.tune.search.journal import Journal
from windlass.optimize.tune.search.objective import winner
from windlass.optimize.tune.search.proposals import Screened, leaders, neighbours, promised, unscreened
from windlass.optimize.tune.space import Candidate, Variant, layouts
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.survey import Tell, survey
from windlass.optimize.tune.trials import Examined
from windlass.optimize.tune.workshop import Workshop

# How many are served at first, how the time for serving is spent, and how often the leader's surroundings are searched.
SERVED = 12
HALVING_SHARE, AROUND_SHARE = 0.5, 0.5
LOOKS = 2
START_S = 1.5


def tune(study: Study, journal: Journal, budget: Budget, tell: Tell) -> Outcome:
    """Find what serves a model best. What the journal has is not done again."""
    timed = _timed(tell, budget)
    workshop = Workshop(study, journal, lambda: budget.spent_s)
    examined, unfit = survey(study, workshop, budget, timed)
    samples = study.questions.samples(study.config)
    with Servers(study.folder, study.name, study.entry.path) as servers:
        contest = Contest(study, workshop, journal, budget, servers, samples)
        search = _Search(study, contest, examined, budget, journal, timed)
        search.halve()
        search.look_around()
        chosen, why = search.decide()
    return Outcome(
        study=study,
        examined=examined,
        unfit=unfit,
        scores=contest.scores(),
        rungs=dict(contest.stand.rung),
        winner=chosen,
        why=why,
        spent_s=budget.spent_s,
        config=workshop.configuration(chosen) if chosen else study.written,
    )


def _timed(tell: Tell, budget: Budget) -> Tell:
    def told(text: str) -> None:
        minutes, seconds = divmod(round(budget.left_s), 60)
        tell(f"[{minutes}:{seconds:02} left] {text}")

    return told


class _Search:
    """The served half of a run; ``leader`` is the best so far."""

    def __init__(
        self,
        study: Study,
        contest: Contest,
        examined: Mapping[Variant, Examined],
        budget: Budget,
        journal: Journal,
        tell: Tell,
    ) -> None:
        self._study = study
        self._contest = contest
        self._examined = examined
        self._budget = budget
        self._journal = journal
        self._tell = tell
        self.leader: Candidate | None = None

    def halve(self) -> None:
        """Serve what leads in the loop, and halve it rung by rung."""
        field = leaders(self._promises(), SERVED)
        plans = self._planned("halving", lambda: rungs(len(field), self._seconds(HALVING_SHARE), self._start_s))
        reserve_s = self._budget.left_s * (1 - HALVING_SHARE) * 0.8
        for number, plan in enumerate(plans, 1):
            field = field[: plan.candidates]
            field = self._rung(f"rung {number}", field, plan, reserve_s) or field
        self._lead(field)

    def _promises(self) -> list[tuple[Candidate, float]]:
        screened: Screened = {
            (variant, layout): laps
            for variant, found in self._examined.items()
            for layout, laps in found.laps.items()
            if not found.reason and laps
        }
        if screened:
            limit_us = self._study.objective.latency_p99_us
            return promised(screened, None if limit_us is None else limit_us / 1e6)
        found = self._study.baseline.variant
        return unscreened(found, layouts(self._study.machine, "cpu"), batchable=self._study.batchable)

    def look_around(self) -> None:
        """Change one thing of the leader at a time, while that makes it better."""
        for look in range(1, LOOKS + 1):
            if self.leader is None or not self._look(self.leader, look):
                return

    def _look(self, leader: Candidate, look: int) -> bool:
        """Measure the surroundings; tells whether something there is better."""
        device = leader.variant.device
        found = neighbours(
            leader, layouts(self._study.machine, device), self._promise(leader).pass_s, batchable=self._study.batchable
        )
        field = [leader, *found]
        reserve_s = self._budget.left_s * (1 - AROUND_SHARE) * 0.8
        plans = self._planned(f"around {look}", lambda: around(len(field), self._seconds(AROUND_SHARE), self._start_s))
        for number, plan in enumerate(plans, 1):
            field = self._rung(f"around {look}.{number}", field[: plan.candidates], plan, reserve_s) or field
        self._lead(field)
        return bool(plans) and self.leader != leader

    def decide(self) -> tuple[Candidate | None, str]:
        """Compare the leader with the original as it is configured, in turns, and say why which is chosen."""
        baseline = self._study.baseline
        field = [baseline] if self.leader is None else [self.leader, baseline]
        for plan in self._planned("last", lambda: last(len(field), self._seconds(1.0))):
            self._rung("last", field, plan, 0.0)
        scores = self._contest.scores()
        return decided(self.leader, baseline, scores)

    def _seconds(self, share: float) -> float:
        return self._budget.left_s * share

    @property
    def _start_s(self) -> float:
        """How long it takes to start a server, as far as that is known."""
        return max(self._contest.start_s, START_S)

    def _rung(self, name: str, field: Sequence[Candidate], plan: Rung, reserve_s: float) -> list[Candidate]:
        count = f"{len(field)} candidate{'' if len(field) == 1 else 's'}"
        self._tell(f"{name}: {count}, windows of {plan.window_s:.1f} s")
        return self._contest.rung(Heat(name, field, plan, reserve_s), self._promise, self._tell)

    def _promise(self, candidate: Candidate) -> Promise:
        return promise_of(candidate, self._examined.get(candidate.variant))

    def _lead(self, field: Sequence[Candidate]) -> None:
        """Take the simplest of the best; all of ``field`` were measured in the same rung, or earlier."""
        found = winner(self._contest.scores(field))
        if found is not None:
            self.leader = found
            rate = self._contest.scores([found])[found].throughput
            self._tell(f"best so far: {found.name}, {rate:,.1f}/s")

    def _planned(self, name: str, plan: Callable[[], Sequence[Rung]]) -> Sequence[Rung]:
        """Plan by the time that is left, once for a budget: a run that was interrupted goes on as it was planned."""
        trial = f"plan {name} within {self._budget.total_s:g} s"
        if trial not in self._journal:
            made = [[rung.candidates, rung.turns, rung.window_s] for rung in plan()]
            self._journal.add(trial, made, self._budget.spent_s)
        return [Rung(*rung) for rung in self._journal.result(trial)]
