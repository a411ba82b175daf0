"""Python models in processes of their own: one for each instance, opened and started by messages.

A model that crashes takes nobody with it, and none waits for another's interpreter. ``serving.worker`` is the other
side.
"""

import base64
import json
import os
from collections.abc import Callable, Mapping

from windlass.backends import cuda
from windlass.backends.backend import LoadContext, Process
from windlass.backends.compiled import name_of, processor
from windlass.backends.cores import core_count
from windlass.backends.placement import placements, policy_of
from windlass.backends.threads import VARIABLES, Threads, fitting, set_for, set_outside, share
from windlass.config import ModelConfig, normalise

# Starts a process, by the instance's name, the interpreter (without one, the server's) and more variables.
Launch = Callable[[str, str | None, Mapping[str, str]], Process]

_INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"


class IsolatedModel:
    """A model that was opened in a process of its own; the process becomes its first instance."""

    def __init__(self, context: LoadContext, launch: Launch, interpreter: str | None) -> None:
        self._context, self._launch, self._interpreter = context, launch, interpreter
        self.threads, variables = _threads(context)
        self._variables = variables | _inductor(context)
        self._first: Process | None = launch(f"{context.model_name}_0_0", interpreter, self._variables)
        try:
            self.config = self._open(self._first)
        except BaseException:
            self._first.close()
            raise

    def _open(self, process: Process) -> ModelConfig:
        context = self._context
        given = {
            "model_name": context.model_name,
            "version": context.version,
            "model_dir": str(context.model_dir.absolute()),
            "version_dir": str(context.version_dir.absolute()),
            "settings": dict(context.settings),
            "config": _text(context.config),
        }
        return ModelConfig.FromString(process.call("open", json.dumps(given).encode()))

    def _start(self, name: str) -> Process:
        return self._launch(name, self._interpreter, self._variables)

    def instances(self, config: ModelConfig) -> "list[IsolatedInstance]":
        """Make the instances, each in a process of its own."""
        made: list[IsolatedInstance] = []
        try:
            for number, place in enumerate(placements(config, cuda.device_count)):
                process, self._first = self._first or self._start(place.name), None
                made.append(IsolatedInstance(place.name, place.kind, place.device, process))
                if number:
                    self._open(process)
                cores = self._context.policies.get(policy_of(config, place.name, place.kind, place.device), ())
                given = {"config": _text(config), "place": number, "cores": sorted(cores)}
                process.call("start", json.dumps(given).encode())
        except BaseException:
            for instance in made:
                instance.close()
            raise
        return made


class IsolatedInstance:
    """An instance in a process of its own. The data plane takes the process over when the model is published."""

    # How a batch is executed is its process' affair.
    per_request = True

    def __init__(self, name: str, kind: str, device: int, process: Process) -> None:
        self.name, self.kind, self.device = name, kind, device
        self.process = process

    def close(self) -> None:
        """End the process of an instance that was not published."""
        self.process.close()


def _threads(context: LoadContext) -> tuple[Threads, dict[str, str]]:
    """Return the threads of the libraries that a model's code may import, and the variables that tell them."""
    instances, cores = len(placements(normalise(context.config, context.model_name), cuda.device_count)), core_count()
    asked = set_for(context, "python")
    if asked is None and (variable := set_outside(os.environ)):
        return Threads(instances, _number(os.environ[variable]), cores, variable), {}
    threads = fitting(share(cores, instances), asked, instances, cores)
    if not threads.setting and threads.each == (os.cpu_count() or 1):
        # Libraries know better than to count cores: which of them are halves of one.
        return threads, {}
    return threads, dict.fromkeys(VARIABLES, str(threads.each))


def _inductor(context: LoadContext) -> dict[str, str]:
    """Return the variables that let PyTorch keep what a model's code compiles, if it does and nobody said where."""
    sources = sorted(context.version_dir.glob("*.py"))
    texts = [source.read_bytes() for source in sources]
    if context.compiled is None or _INDUCTOR in os.environ or not any(b"compile" in text for text in texts):
        return {}
    folder = context.compiled.folder_for(name_of("inductor", texts, processor()))
    return {} if folder is None else {_INDUCTOR: str(folder), "TRITON_CACHE_DIR": str(folder / "triton")}


def _number(text: str) -> int:
    first = text.split(",")[0].strip()
    return int(first) if first.isdecimal() else 1


def _text(config: ModelConfig) -> str:
    return base64.b64encode(config.SerializeToString(deterministic=True)).decode()
