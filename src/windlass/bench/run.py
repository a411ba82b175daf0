"""The measuring itself: levels of load on a running server, one after another, each in windows until they agree."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from windlass.bench import footprint
from windlass.bench.levels import Kind, Level
from windlass.bench.load import Closed, Load, Open, measure_all
from windlass.bench.outcome import Outcome
from windlass.bench.point import Cost, Part, Point, line_of_time
from windlass.bench.questions import Questions
from windlass.bench.ramp import Ramp, next_value
from windlass.bench.served import Served
from windlass.bench.statistics import Counts, ServerSide
from windlass.bench.subject import Doors, split
from windlass.bench.windows import AGREEING, Window, one_after_another, settled, window
from windlass.client import Client
from windlass.errors import ClientError, ServerError

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured: the levels, or what a ramp says in their stead; and how long.

    Windows of ``window_s`` repeat until they agree within ``stability``, at most ``most_windows`` of them.
    """

    levels: tuple[Level, ...] = ()
    ramp: Ramp | None = None
    arrivals: str = "poisson"
    seed: int = 0
    in_flight: int = 256
    threads: int = 1
    timeout_s: float = 30.0
    warm_up_s: float = 1.0
    window_s: float = 1.0
    most_windows: int = 10
    stability: float = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """A running server: its doors, its processes where they are on this machine, and ``served`` where it is our own."""

    doors: Doors
    roots: tuple[int, ...] = ()
    served: Served | None = None


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the server had done and spent until then."""

    at: float
    counts: tuple[Counts | None, ...]
    cpu_seconds: float


@dataclass(slots=True)
class _Windows:
    """What has been measured at a level so far, and the moments between."""

    kind: Kind
    moments: list[_Moment]
    outcomes: list[list[Outcome]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    def add(self, outcomes: list[Outcome], moment: _Moment) -> None:
        self.outcomes.append(outcomes)
        self.windows.append(window(outcomes, self.kind))
        self.moments.append(moment)

    @property
    def hopeless(self) -> bool:
        """Tell whether the last window had failures only."""
        last = self.outcomes[-1]
        return not any(one.requests for one in last) and any(one.failed for one in last)


class Measuring:
    """Measures a server with questions, as a plan says."""

    def __init__(self, place: Place, questions: Sequence[Questions], plan: Plan, client: Client, tell: Tell) -> None:
        self._place = place
        self._questions = questions
        self._plan = plan
        self._client = client
        self._tell = tell

    def points(self) -> Iterator[Point]:
        """Yield what was measured, level by level. Interrupted, it yields what there is of the last one.

        Raises ``ServerError`` when the server is gone.
        """
        done: list[Point] = []
        for level in self._levels(done):
            if not done and self._plan.warm_up_s > 0:
                self._tell(f"warming up for {self._plan.warm_up_s:g} s")
                measure_all(self._loads(level, self._plan.warm_up_s), threads=self._plan.threads)
            for point in self._level(level):
                done.append(point)
                yield point

    def _levels(self, done: Sequence[Point]) -> Iterator[Level]:
        ramp = self._plan.ramp
        if ramp is None:
            yield from self._plan.levels
            return
        while (value := next_value([point.reading for point in done], ramp)) is not None:
            yield Level(ramp.kind, value)

    def _level(self, level: Level) -> Iterator[Point]:
        plan = self._plan
        measured = _Windows(level.kind, [self._moment(level)])
        try:
            while len(measured.windows) < plan.most_windows and not settled(measured.windows, plan.stability):
                outcomes = measure_all(self._loads(level, plan.window_s), threads=plan.threads)
                measured.add(outcomes, self._moment(level))
                if measured.hopeless:
                    break
        except KeyboardInterrupt:
            if measured.windows:
                yield replace(self._point(level, measured), interrupted=True)
            raise
        point = self._point(level, measured)
        # What is told of is kept already, whoever interrupts on hearing it.
        yield point
        self._tell(f"{level}: {point.summary()}")

    def _loads(self, level: Level, seconds: float) -> list[Load]:
        shares = [one.subject.share for one in self._questions]
        modes: list[Closed | Open]
        if level.kind == "concurrency":
            modes = [Closed(part) for part in split(int(level.value), shares)]
        else:
            modes = [self._open(level.value * share / sum(shares), place) for place, share in enumerate(shares)]
        return [self._load(one, mode, seconds) for one, mode in zip(self._questions, modes, strict=True)]

    def _open(self, rate: float, place: int) -> Open:
        plan = self._plan
        arrivals = "constant" if plan.arrivals == "constant" else "poisson"
        return Open(rate, arrivals, plan.seed + place, plan.in_flight)  # type: ignore[arg-type]

    def _load(self, questions: Questions, mode: Closed | Open, seconds: float) -> Load:
        grpc = questions.protocol == "grpc"
        return Load(
            url=self._place.doors.grpc if grpc else self._place.doors.http,
            requests=questions.requests,
            mode=mode,
            seconds=seconds,
            path="" if grpc else questions.path,
            timeout_s=self._plan.timeout_s,
            trust=self._place.doors.trust,
        )

    def _moment(self, level: Level) -> _Moment:
        try:
            counts = tuple(self._counts(one) for one in self._questions)
        except ClientError as error:
            said = self._place.served.said() if self._place.served else None
            raise ServerError(f"the server stopped answering at {level}: {error.message}", found=said) from error
        return _Moment(time.monotonic(), counts, footprint.cpu_seconds(self._place.roots))

    def _counts(self, questions: Questions) -> Counts | None:
        """Ask for the statistics of a model; ``None`` where the server has none."""
        try:
            return Counts.of(self._client.statistics(questions.subject.name, questions.subject.version))
        except ClientError as error:
            if error.status is None:
                raise
            return None

    def _point(self, level: Level, measured: _Windows) -> Point:
        last = measured.outcomes[-AGREEING:]
        before, after = measured.moments[-len(last) - 1], measured.moments[-1]
        seconds = sum(max(one.seconds for one in outcomes) for outcomes in last)
        cpu = after.cpu_seconds - before.cpu_seconds
        roots = self._place.roots
        return Point(
            level=level,
            parts=tuple(
                Part(
                    str(one.subject),
                    one_after_another([outcomes[place] for outcomes in last], level.kind),
                    _between(before.counts[place], after.counts[place]),
                )
                for place, one in enumerate(self._questions)
            ),
            windows=tuple(measured.windows),
            settled=settled(measured.windows, self._plan.stability),
            generator_cores=sum(outcomes[0].cpu_seconds for outcomes in last) / seconds if seconds else 0.0,
            generator_threads=self._plan.threads,
            cost=Cost(cpu, after.at - before.at, footprint.memory(roots)) if roots else None,
            ticks=line_of_time(last),
        )


def _between(before: Counts | None, after: Counts | None) -> ServerSide | None:
    return ServerSide.between(before, after) if before and after else None
