"""ONNX Runtime. A model is parsed once: the session that tells its inputs and outputs also executes it.

All sessions of the process share one pool of threads, sized to the cores there are. A pool for each would start
thousands of threads in a repository of many small models, and they would fight for the cores in one of few large ones.
A model that sets ``intra_op_thread_count`` gets a pool of its own. Instances of a model on the CPU share its session,
which ONNX Runtime lets several threads run at a time: the weights are in memory once.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from windlass.backends.backend import LoadContext, missing
from windlass.backends.placement import Placement, placements
from windlass.backends.signature import Signature, TensorSignature
from windlass.config import ModelConfig
from windlass.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

_TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float": "TYPE_FP32",
    "double": "TYPE_FP64",
    "string": "TYPE_STRING",
}


def open(context: LoadContext) -> "OnnxModel":  # noqa: A001 - the verb of every backend
    """Read a model's file and complete its configuration."""
    return OnnxModel(context)


class OnnxModel:
    """An ONNX file with its first session."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._runtime = _runtime()
        self._session = self._make_session(("CPUExecutionProvider", {}))
        signature = Signature(
            tuple(self._tensor(value) for value in self._session.get_inputs()),
            tuple(self._tensor(value) for value in self._session.get_outputs()),
        )
        self.config = signature.complete(context.config, context.whole_number("default-max-batch-size", 4))

    def instances(self, config: ModelConfig) -> list["OnnxInstance"]:
        """Make the instances; those on one GPU share a session as those on the CPU do."""
        sessions: dict[tuple[str, int], Any] = {("CPU", 0): self._session, ("MODEL", 0): self._session}
        made = []
        for place in placements(config, self._gpus()):
            key = (place.kind, place.device)
            if key not in sessions:
                sessions[key] = self._make_session(("CUDAExecutionProvider", {"device_id": place.device}))
            made.append(OnnxInstance(place, sessions[key], [output.name for output in config.output]))
        return made

    def _gpus(self) -> int:
        if "CUDAExecutionProvider" not in self._runtime.get_available_providers():
            return 0
        from windlass.backends.cuda import device_count

        return device_count()

    def _tensor(self, value: Any) -> TensorSignature:
        element = value.type.removeprefix("tensor(").removesuffix(")")
        if element not in _TYPES:
            raise BackendError(
                f"unable to load model '{self._context.model_name}': tensor '{value.name}' has type {value.type}, "
                "which ONNX Runtime's Python interface does not exchange with numpy"
            )
        shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape)
        return TensorSignature(value.name, _TYPES[element], shape)

    def _make_session(self, provider: tuple[str, dict[str, Any]]) -> Any:
        path = self._context.model_file("model.onnx")
        file = path / "model.onnx" if path.is_dir() else path
        try:
            return self._runtime.InferenceSession(str(file), self._options(), providers=[provider])
        except Exception as error:  # the runtime raises types of its own, without a common base
            raise BackendError(f"unable to load model '{self._context.model_name}': {error}") from error

    def _options(self) -> Any:
        context, runtime = self._context, self._runtime
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        intra = context.whole_number("intra_op_thread_count", 0)
        options.use_per_session_threads = intra > 0
        options.intra_op_num_threads = intra
        options.inter_op_num_threads = context.whole_number("inter_op_thread_count", 0) if intra else 0
        if context.whole_number("execution_mode", 0) == 1:
            options.execution_mode = runtime.ExecutionMode.ORT_PARALLEL
        options.enable_cpu_mem_arena = context.switch("enable_mem_arena", default=True)
        options.enable_mem_pattern = context.switch("enable_mem_pattern", default=True)
        levels = runtime.GraphOptimizationLevel
        by_level = {-1: levels.ORT_ENABLE_BASIC, 1: levels.ORT_ENABLE_EXTENDED, 2: levels.ORT_DISABLE_ALL}
        level = context.config.optimization.graph.level
        options.graph_optimization_level = by_level.get(level, levels.ORT_ENABLE_ALL)
        return options


class OnnxInstance:
    """One instance: a session, and the names of the outputs that are asked of it."""

    per_request = False

    def __init__(self, place: Placement, session: Any, outputs: list[str]) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._session = session
        self._outputs = outputs
        self._strings = [value.name for value in session.get_inputs() if value.type == "tensor(string)"]

    def execute(self, inputs: dict[str, "np.ndarray[Any, Any]"]) -> Mapping[str, "np.ndarray[Any, Any]"]:
        """Run the session; other Python threads go on meanwhile."""
        for name in self._strings:
            inputs[name] = _texts(inputs[name])
        try:
            values = self._session.run(self._outputs, inputs)
        except Exception as error:  # as above
            raise BackendError(f"onnx runtime error: {error}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Let go of the session."""
        self._session = None


def _texts(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """ONNX strings are texts; raises ``BackendError`` for bytes that are none."""
    import numpy as np

    try:
        return np.array([element.decode() for element in array.ravel()], dtype=object).reshape(array.shape)
    except UnicodeDecodeError as error:
        raise BackendError(f"a string tensor holds bytes that are not UTF-8: {error}") from None


@cache
def _runtime() -> Any:
    """Import ONNX Runtime and size the pool that all sessions share."""
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime", "onnx") from None
    onnxruntime.set_global_thread_pool_sizes(len(os.sched_getaffinity(0)), 1)
    return onnxruntime
