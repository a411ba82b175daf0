"""Models written as a ``TritonPythonModel`` class: their configuration, and the objects that execute them."""

import json
from dataclasses import replace
from typing import Any

from windlass.backends import cuda
from windlass.backends.backend import LoadContext
from windlass.backends.placement import Placement, placements
from windlass.backends.python import home
from windlass.backends.python.model_file import ModelFile
from windlass.backends.python.triton.config import ModelConfig as CompletedConfig
from windlass.backends.python.triton_instance import TritonInstance
from windlass.config import ModelConfig, config_json, parse_json
from windlass.errors import BackendError, ConfigError


class TritonModel:
    """A model class and the configuration it completed."""

    def __init__(self, context: LoadContext, model_class: type, file: ModelFile) -> None:
        self._context, self._class, self._file = context, model_class, file
        # What a model may not do before it executes is refused there.
        self._home = replace(file.home, executing=False)
        if not callable(getattr(model_class, "execute", None)):
            raise BackendError(f"Python model {file.path} does not implement `execute` method.")
        self.config = self._completed(context.config)

    def _completed(self, config: ModelConfig) -> ModelConfig:
        complete = getattr(self._class, "auto_complete_config", None)
        if complete is None:
            return config
        token = home.enter(replace(self._home, host=None))
        try:
            completed = complete(CompletedConfig(json.loads(config_json(config))))
        except Exception as error:
            raise self._context.failure(self._file.traceback(error)) from error
        finally:
            home.leave(token)
        if not isinstance(completed, CompletedConfig):
            raise BackendError(
                f"auto_complete_config function in model '{config.name}' must return a valid pb.ModelConfig object."
            )
        try:
            return parse_json(json.dumps(completed.as_dict()))
        except (ConfigError, TypeError) as error:
            raise self._context.failure(f"auto_complete_config made no valid configuration: {error}") from error

    def instances(self, config: ModelConfig, only: int | None = None) -> list[TritonInstance]:
        """Make an object of the class for each instance, or for one of them, and initialise it."""
        text = config_json(config)
        decoupled = config.model_transaction_policy.decoupled
        made: list[TritonInstance] = []
        try:
            for place in placements(config, cuda.device_count, only):
                made.append(TritonInstance(place, self._object(place, text), self._file, decoupled=decoupled))
        except BaseException:
            for instance in made:
                instance.close()
            raise
        if only is None:
            # In a process of its own, the server asks.
            for instance in made:
                instance.watch()
        return made

    def _object(self, place: Placement, text: str) -> Any:
        context = self._context
        arguments = {
            "model_config": text,
            "model_name": context.model_name,
            "model_version": str(context.version),
            "model_repository": str(context.model_dir),
            "model_instance_name": place.name,
            "model_instance_kind": place.kind,
            "model_instance_device_id": str(place.device),
        }
        token = home.enter(replace(self._home, name=place.name))
        try:
            model = self._class()
            if hasattr(model, "initialize"):
                model.initialize(arguments)
        except Exception as error:
            raise context.failure(self._file.traceback(error)) from error
        finally:
            home.leave(token)
        return model
