"""What a model is asked, again and again: requests made of samples, tried once before they count."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import quote

from windlass.bench.load import Request
from windlass.bench.subject import Subject
from windlass.bench.wire import Array, Protocol, encode
from windlass.client import Client
from windlass.config import ModelConfig, parse_json
from windlass.errors import ClientError, ServerError, UsageError
from windlass.samples import Samples, generate, read

# Generated requests are so many different ones, unless they are large.
_DIFFERENT = 16
_BODIES_BYTES = 64 << 20
# As many rows of data as fit memory easily, also where they are images; they are asked in turn.
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where inputs come from: a file or folder for a model, or else its signature. ``sizes`` are those of open ones."""

    protocol: Protocol = "rest"
    batch: int = 1
    data: dict[str, Path] = field(default_factory=dict)
    open_size: int = 16
    sizes: dict[str, int] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Questions:
    """The requests for one model, and where they are from."""

    subject: Subject
    requests: tuple[Request, ...]
    source: str
    protocol: Protocol = "rest"

    @property
    def path(self) -> str:
        """Where REST asks for inference."""
        version = f"/versions/{self.subject.version}" if self.subject.version else ""
        return f"/v2/models/{quote(self.subject.name, safe='')}{version}/infer"


def prepare(client: Client, subject: Subject, inputs: Inputs) -> Questions:
    """Make the requests for a model that a server has, and ask the first one.

    Raises ``UsageError`` for what makes no sense, ``ServerError`` for a model that is not there or not ready, and
    ``ClientError`` with the server's words when the model does not answer.
    """
    config = _config(client, subject)
    if inputs.batch > max(config.max_batch_size, 1):
        has = f"takes {config.max_batch_size} at most" if config.max_batch_size else "takes no batches"
        raise UsageError(f"option `--batch`: model `{subject}` {has}", found=str(inputs.batch))
    samples = _samples(config, subject, inputs)
    requests: list[Request] = []
    for asked in _asked(samples, inputs.batch):
        if not requests:
            _try(client, subject, asked)
        requests.append(encode(inputs.protocol, subject.name, subject.version, asked))
    return Questions(subject, tuple(requests), samples.source, inputs.protocol)


def _config(client: Client, subject: Subject) -> ModelConfig:
    try:
        there = client.ready(subject.name, subject.version)
        if there:
            return parse_json(json.dumps(client.config(subject.name, subject.version)))
        index = client.models()
    except ClientError as error:
        if error.status is None:
            raise
        index = []
    rows = [row for row in index if row["name"] == subject.name]
    if not rows:
        names = ", ".join(sorted({row["name"] for row in index if row.get("state") == "READY"}))
        raise ServerError(f"the server has no model `{subject.name}`", found=names or "no model that is ready")
    states = ", ".join(
        f"version {row.get('version', '?')} {row.get('state', '')} {row.get('reason', '')}".rstrip() for row in rows
    )
    raise ServerError(f"model `{subject}` is not ready", found=states, hint="name a version that is, or load it first")


def _samples(config: ModelConfig, subject: Subject, inputs: Inputs) -> Samples:
    path = next((inputs.data[name] for name in (str(subject), subject.name, "") if name in inputs.data), None)
    if path is not None:
        return _filled(read(path, config, limit=max(_ROWS, _DIFFERENT * inputs.batch)), inputs.batch)

    def made(count: int) -> Samples:
        return generate(config, count, seed=inputs.seed, open_size=inputs.open_size, sizes=inputs.sizes)

    one = made(1)
    size = sum(array.nbytes for array in one.rows[0].values()) * inputs.batch
    return made(max(min(_DIFFERENT, _BODIES_BYTES // max(size, 1)), 1) * inputs.batch)


def _filled(samples: Samples, batch: int) -> Samples:
    """Repeat rows until every request has as many as asked for."""
    count = -(-len(samples) // batch) * batch
    if not samples.batched or count == len(samples):
        return samples
    return Samples(tuple(islice(cycle(samples.rows), count)), samples.batched, samples.source)


def _asked(samples: Samples, batch: int) -> Iterator[dict[str, Array]]:
    """Yield inputs of requests, until they would take too much memory."""
    size = 0
    for inputs in samples.batches(batch):
        size += sum(array.nbytes for array in inputs.values())
        yield inputs
        if size > 4 * _BODIES_BYTES:
            return


def _try(client: Client, subject: Subject, inputs: dict[str, Array]) -> None:
    try:
        client.infer(subject.name, inputs, version=subject.version)
    except ClientError as error:
        if error.status is None:
            raise
        raise ClientError(
            f"model `{subject}` answers the first request with {error.status}: {error.message}",
            status=error.status,
            hint="`--data` gives it other inputs, `--open-size` other sizes",
        ) from error


def served_models(client: Client, subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """Return who to ask: those that are named, or the only model of the server."""
    if subjects:
        return tuple(subjects)
    names = sorted({row["name"] for row in client.models() if row.get("state") == "READY"})
    if len(names) != 1:
        raise UsageError(
            f"the server has {len(names)} models" if names else "the server has no model that is ready",
            found=", ".join(names) or None,
            hint=f"name one: `windlass bench URL {names[0]}`" if names else "load one first",
        )
    return (Subject(names[0]),)
