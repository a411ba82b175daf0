"""Models written as a ``TritonPythonModel`` class: called with the requests of a batch, each by itself."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.backends import triton_python_backend_utils as pb_utils
from windlass.backends.backend import LoadContext, Request
from windlass.backends.model_file import users_traceback
from windlass.backends.placement import Placement, placements
from windlass.config import ModelConfig, config_json, parse_json
from windlass.errors import BackendError, ConfigError

_InferenceRequest = pb_utils.InferenceRequest


class TritonModel:
    """A model class and the configuration it completed."""

    def __init__(self, context: LoadContext, model_class: type, file: Path) -> None:
        self._context, self._class, self._file = context, model_class, file
        if not callable(getattr(model_class, "execute", None)):
            raise BackendError(f"Python model {file} does not implement `execute` method.")
        self.config = self._auto_completed(context.config)

    def _auto_completed(self, config: ModelConfig) -> ModelConfig:
        complete = getattr(self._class, "auto_complete_config", None)
        if complete is None:
            return config
        name = self._context.model_name
        try:
            completed = complete(pb_utils.ModelConfig(json.loads(config_json(config))))
        except Exception as error:
            raise BackendError(
                f"failed to auto-complete model '{name}': {users_traceback(error, self._file)}"
            ) from error
        if not isinstance(completed, pb_utils.ModelConfig):
            raise BackendError(
                f"auto_complete_config function in model '{name}' must return a valid pb.ModelConfig object."
            )
        try:
            return parse_json(json.dumps(completed.as_dict()))
        except ConfigError as error:
            raise BackendError(f"failed to auto-complete model '{name}': {error.message}") from error

    def instances(self, config: ModelConfig) -> list["TritonInstance"]:
        """Make an object of the class for each instance, and initialise it."""
        from windlass.backends.cuda import device_count

        text = config_json(config)
        return [self._instance(place, text) for place in placements(config, device_count())]

    def _instance(self, place: Placement, text: str) -> "TritonInstance":
        context = self._context
        try:
            model = self._class()
            if hasattr(model, "initialize"):
                model.initialize(
                    {
                        "model_config": text,
                        "model_name": context.model_name,
                        "model_version": str(context.version),
                        "model_repository": str(context.model_dir),
                        "model_instance_name": place.name,
                        "model_instance_kind": place.kind,
                        "model_instance_device_id": str(place.device),
                    }
                )
        except Exception as error:
            raise BackendError(
                f"failed to initialize model '{context.model_name}': {users_traceback(error, self._file)}"
            ) from error
        return TritonInstance(place, model, self._file)


class TritonInstance:
    """One object of the user's class."""

    per_request = True

    def __init__(self, place: Placement, model: Any, file: Path) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._model = model
        self._file = file

    def execute_each(self, requests: Sequence[Request]) -> "list[Mapping[str, Any] | Exception]":
        """Call the user's ``execute`` with the whole batch, and take its responses apart."""
        try:
            responses = self._model.execute([_InferenceRequest(request) for request in requests])
        except Exception as error:
            raise self._failure(users_traceback(error, self._file)) from error
        if not isinstance(responses, list):
            raise self._failure(f"Expected a list in the execute return, found type '{type(responses).__name__}'.")
        if len(responses) != len(requests):
            raise self._failure(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size is:{len(responses)}"
            )
        return [self._answer(response) for response in responses]

    def _answer(self, response: Any) -> Mapping[str, Any] | Exception:
        try:
            if response._error is None:
                return {tensor._name: tensor._array for tensor in response._outputs}
            failure = BackendError(response._error.message())
            failure.code = response._error.code()
            return failure
        except AttributeError:
            return self._failure(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(response).__name__}'."
            )

    def _failure(self, text: str) -> BackendError:
        return BackendError(f"Failed to process the request(s) for model '{self.name}', message: {text}")

    def close(self) -> None:
        """Let the user's object say goodbye."""
        if hasattr(self._model, "finalize"):
            self._model.finalize()
        self._model = None
