"""From an order to a server that can be measured: found or started, its models ready, its questions made."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from windlass.bench import footprint
from windlass.bench.aside import laid_out
from windlass.bench.order import Order
from windlass.bench.point import Point
from windlass.bench.questions import Questions, prepare, served_models
from windlass.bench.result import Result
from windlass.bench.run import Measuring, Place
from windlass.bench.served import served
from windlass.bench.subject import Doors, Subject
from windlass.bench.trust import context
from windlass.client import Client
from windlass.report import Machine

# Under much load the server's own answers take their time as well.
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """A server, the questions to ask it, and the machine as it was before."""

    order: Order
    place: Place
    questions: tuple[Questions, ...]
    client: Client
    machine: Machine

    def points(self, tell: Callable[[str], None]) -> Iterator[Point]:
        """Yield what is measured, level by level; see ``Measuring.points``."""
        return Measuring(self.place, self.questions, self.order.plan, self.client, tell).points()

    def result(self, points: Sequence[Point], *, command: str, date: str) -> Result:
        """Return what has come of it."""
        order, doors = self.order, self.place.doors
        return Result(
            points=tuple(points),
            sources={str(one.subject): one.source for one in self.questions},
            protocol=order.inputs.protocol,
            batch=order.inputs.batch,
            address=doors.grpc if order.inputs.protocol == "grpc" else doors.http,
            own_server=self.place.served is not None,
            machine=self.machine,
            command=command,
            date=date,
            ramp=order.plan.ramp is not None,
            limit_us=order.limit_us,
        )


@contextmanager
def opened(order: Order, tell: Callable[[str], None]) -> Iterator[Session]:
    """Lend a server that is ready to be measured; one that was started for that ends with the block.

    Raises ``WindlassError`` for what is not there, not ready, or does not answer.
    """
    machine = Machine.here()
    with ExitStack() as stack:
        place, subjects = _found(order) if order.doors else _started(order, stack, tell)
        tls = context(place.doors.trust) if place.doors.encrypted else None
        client = stack.enter_context(Client(place.doors.http, timeout_s=_PATIENCE_S, tls=tls))
        questions = tuple(prepare(client, one, order.inputs) for one in served_models(client, subjects))
        yield Session(order, place, questions, client, machine)


def _started(order: Order, stack: ExitStack, tell: Callable[[str], None]) -> tuple[Place, tuple[Subject, ...]]:
    repository, subjects = stack.enter_context(laid_out(order.repository, order.subjects))
    names = list(dict.fromkeys(subject.name for subject in subjects))
    tell(f"starting a server for {', '.join(names)}")
    server = stack.enter_context(served(repository, names))
    return Place(Doors(server.http, server.grpc), (server.pid,), server), subjects


def _found(order: Order) -> tuple[Place, tuple[Subject, ...]]:
    assert order.doors is not None
    parts = urlsplit(order.doors.http)
    return Place(order.doors, footprint.listeners(parts.hostname or "", parts.port or 0)), order.subjects
