"""Models written as a ``TritonPythonModel`` class: called with the requests of a batch, each by itself."""

import asyncio
import inspect
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.backends import cuda
from windlass.backends.backend import Answer, LoadContext, Request
from windlass.backends.placement import Placement, placements
from windlass.backends.python import triton_python_backend_utils as pb_utils
from windlass.backends.python.model_file import ModelFile, sweep
from windlass.config import ModelConfig, config_json, parse_json
from windlass.errors import BackendError, ConfigError

log = logging.getLogger("windlass")

_InferenceRequest = pb_utils.InferenceRequest


class TritonModel:
    """A model class and the configuration it completed."""

    def __init__(self, context: LoadContext, model_class: type, file: ModelFile) -> None:
        self._context, self._class, self._file = context, model_class, file
        if not callable(getattr(model_class, "execute", None)):
            raise BackendError(f"Python model {file.path} does not implement `execute` method.")
        file.module.__dict__[pb_utils.MODEL_DIR] = str(context.version_dir.absolute())
        self.config = self._completed(context.config)

    def _completed(self, config: ModelConfig) -> ModelConfig:
        complete = getattr(self._class, "auto_complete_config", None)
        if complete is None:
            return config
        try:
            completed = complete(pb_utils.ModelConfig(json.loads(config_json(config))))
        except Exception as error:
            raise self._context.failure(self._file.traceback(error)) from error
        if not isinstance(completed, pb_utils.ModelConfig):
            raise BackendError(
                f"auto_complete_config function in model '{config.name}' must return a valid pb.ModelConfig object."
            )
        try:
            return parse_json(json.dumps(completed.as_dict()))
        except (ConfigError, TypeError) as error:
            raise self._context.failure(f"auto_complete_config made no valid configuration: {error}") from error

    def instances(self, config: ModelConfig, only: int | None = None) -> list["TritonInstance"]:
        """Make an object of the class for each instance, or for one of them, and initialise it."""
        text = config_json(config)
        made: list[TritonInstance] = []
        try:
            for place in placements(config, cuda.device_count, only):
                made.append(TritonInstance(place, self._object(place, text), self._file))
        except BaseException:
            for instance in made:
                instance.close()
            raise
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
        try:
            model = self._class()
            if hasattr(model, "initialize"):
                model.initialize(arguments)
        except Exception as error:
            raise context.failure(self._file.traceback(error)) from error
        return model


class TritonInstance:
    """One object of the user's class."""

    per_request = True

    def __init__(self, place: Placement, model: Any, file: ModelFile) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._model = model
        self._file = file
        self._loop = asyncio.new_event_loop() if inspect.iscoroutinefunction(model.execute) else None

    def execute_each(self, requests: Sequence[Request]) -> list[Answer]:
        """Call the user's ``execute`` with the whole batch, and take its responses apart."""
        try:
            responses = self._model.execute([_InferenceRequest(request) for request in requests])
            if self._loop is not None:
                responses = self._loop.run_until_complete(responses)
        except Exception as error:
            raise self._failure(self._file.traceback(error)) from error
        if not isinstance(responses, list):
            found = type(responses).__name__
            raise self._failure(f"Expected a list in the execute return, found type '{found}'.")
        if len(responses) != len(requests):
            raise self._failure(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size is:{len(responses)}"
            )
        return [self._answer(response) for response in responses]

    def _answer(self, response: Any) -> Mapping[str, Any] | Exception:
        if not isinstance(response, pb_utils.InferenceResponse):
            return self._failure(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(response).__name__}'."
            )
        # The response's own members, not its methods: this is done for every request.
        if response._error is None:
            return {tensor._name: tensor._array for tensor in response._outputs}
        failure = BackendError(response._error.message())
        failure.code = response._error.code()
        return failure

    def _failure(self, text: str) -> BackendError:
        return BackendError(f"Failed to process the request(s) for model '{self.name}', message: {text}")

    def close(self) -> None:
        """Let the user's object say goodbye."""
        try:
            if hasattr(self._model, "finalize"):
                self._model.finalize()
        except Exception as error:
            log.error("instance `%s` failed to finalize: %s", self.name, self._file.traceback(error))
        if self._loop is not None:
            self._loop.close()
        del self._model, self._file
        sweep()
