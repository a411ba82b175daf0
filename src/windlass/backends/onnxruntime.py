"""ONNX Runtime. A model is parsed once: the session that tells its inputs and outputs also executes it.

Instances of a model on one device share its session, which ONNX Runtime lets several threads run at a time: the
weights are in memory once.

Threads. A session has a pool that, with the threads of its instances, is as large as the cores there are
(``intra_op_thread_count`` says otherwise), but a file under ``SMALL_BYTES`` gets none: its operators are over before a
second thread is awake, and a repository of a thousand such models would hold thousands of threads. Not chosen is ONNX
Runtime's pool for the whole process: beside it no model can have a number of threads of its own, and one thread for
each of several instances is what gives most throughput. The server's setting ``enable-global-threadpool`` asks for it
all the same.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.backends import accelerators, cuda
from windlass.backends.backend import LoadContext, missing
from windlass.backends.compiled import name_of
from windlass.backends.cores import core_count
from windlass.backends.placement import Placement, placements
from windlass.backends.signature import Scalars, Signature, TensorSignature
from windlass.backends.threads import Threads, fitting, pool, set_for
from windlass.config import ModelConfig, as_executed, normalise
from windlass.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

log = logging.getLogger("windlass")

SMALL_BYTES = 128 * 1024

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
    "bfloat16": "TYPE_BF16",
    "float": "TYPE_FP32",
    "double": "TYPE_FP64",
    "string": "TYPE_STRING",
}
_ONNX_BFLOAT16 = 16


def open(context: LoadContext) -> "OnnxModel":
    """Read a model's file and complete its configuration."""
    return OnnxModel(context)


class OnnxModel:
    """An ONNX file and its sessions, one for each device."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._runtime = _runtime()
        path = context.model_file("model.onnx")
        self._file = path / "model.onnx" if path.is_dir() else path
        self._sessions: dict[tuple[str, int], Any] = {}
        self.threads: Threads | None = None
        places = self._placements(normalise(context.config, context.model_name))
        self._on = Counter(_session_key(place) for place in places)
        session = self._session(places[0])
        self._signature = Signature(
            tuple(self._tensor(value) for value in session.get_inputs()),
            tuple(self._tensor(value) for value in session.get_outputs()),
        )
        default = context.whole_number("default-max-batch-size", 4)
        self.config = self._signature.complete(context.config, default)
        for name in accelerators.unknown(context.config):
            log.warning("model `%s`: the execution accelerator `%s` is not offered", context.model_name, name)

    def instances(self, config: ModelConfig) -> list["OnnxInstance"]:
        """Make the instances."""
        outputs = [output.name for output in as_executed(config).output]
        scalars = self._signature.scalars(config)
        return [OnnxInstance(place, self._session(place), outputs, scalars) for place in self._placements(config)]

    def _placements(self, config: ModelConfig) -> list[Placement]:
        return placements(config, self._count_gpus)

    def _count_gpus(self) -> int:
        drives_them = "CUDAExecutionProvider" in self._runtime.get_available_providers()
        return cuda.device_count() if drives_them else 0

    def _tensor(self, value: Any) -> TensorSignature:
        element = value.type.removeprefix("tensor(").removesuffix(")")
        if element not in _TYPES:
            raise self._context.failure(f"tensor '{value.name}' has type {value.type}, which is not served")
        shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape)
        return TensorSignature(value.name, _TYPES[element], shape)

    def _session(self, place: Placement) -> Any:
        key = _session_key(place)
        if key not in self._sessions:
            self._sessions[key] = self._make_session(*key)
        return self._sessions[key]

    def _make_session(self, kind: str, device: int) -> Any:
        chosen = accelerators.providers(self._context.config, kind, device)
        name = chosen[0][0]
        options = self._options(kind, device)
        session = self._keeping(options, chosen) if name == accelerators.PROVIDER else self._new(options, chosen)
        if name not in session.get_providers():
            raise self._context.failure(
                f"ONNX Runtime could not start {name}",
                hint="its log on stderr says why: most often CUDA or cuDNN is missing",
            )
        return session

    def _new(self, options: Any, providers: list[accelerators.Provider]) -> Any:
        try:
            # Without the fallback, which prints its errors and tries once more what already failed.
            return self._runtime.InferenceSession(str(self._file), options, providers=providers, enable_fallback=0)
        except Exception as error:  # the runtime raises types of its own, without a common root
            raise self._context.failure(error) from error

    def _keeping(self, options: Any, providers: list[accelerators.Provider]) -> Any:
        """Start TensorRT with the engines of earlier starts; those that it cannot read any more are built anew."""
        kept, given = self._context.compiled, providers[0][1]
        if kept is None:
            return self._new(options, providers)
        files, version = kept.digest(self._context.version_dir), self._runtime.__version__
        hardware, settings = cuda.device_name(int(given["device_id"])), sorted(given.items())
        name = name_of("tensorrt", files, version, hardware, settings)
        folder = kept.folder_for(name)
        try:
            return self._new(options, accelerators.keeping(providers, folder))
        except BackendError as error:
            if folder is None or not any(folder.iterdir()):
                raise
            kept.drop(name, error.message)
        return self._new(options, accelerators.keeping(providers, kept.folder_for(name)))

    def _options(self, kind: str, device: int) -> Any:
        context, runtime = self._context, self._runtime
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        self._set_threads(options, kind, device)
        if context.whole_number("execution_mode", 0) == 1:
            options.execution_mode = runtime.ExecutionMode.ORT_PARALLEL
        options.enable_cpu_mem_arena = context.switch("enable_mem_arena", default=True)
        options.enable_mem_pattern = context.switch("enable_mem_pattern", default=True)
        levels = runtime.GraphOptimizationLevel
        by_level = {-1: levels.ORT_ENABLE_BASIC, 1: levels.ORT_ENABLE_EXTENDED, 2: levels.ORT_DISABLE_ALL}
        level = context.config.optimization.graph.level
        options.graph_optimization_level = by_level.get(level, levels.ORT_ENABLE_ALL)
        for name, value in context.config.parameters.items():
            if name.startswith("session."):
                options.add_session_config_entry(name, value.string_value)
        return options

    def _set_threads(self, options: Any, kind: str, device: int) -> None:
        context, cores, instances = self._context, core_count(), max(1, self._on[kind, device])
        if context.settings.get("enable-global-threadpool", "0") == "1":
            _start_global_pool()
            options.use_per_session_threads = False
            return
        # Sessions on several devices have the cores between them.
        fits = pool(cores // max(1, len(self._on)), instances)
        each = 1 if _size_bytes(self._file) < SMALL_BYTES else fits
        threads = fitting(each, set_for(context, "onnxruntime"), instances, cores, pooled=True)
        options.intra_op_num_threads = threads.each
        options.inter_op_num_threads = context.whole_number("inter_op_thread_count", 0) or each
        self.threads = threads if kind == "CPU" else self.threads


def _session_key(place: Placement) -> tuple[str, int]:
    return (place.kind, place.device) if place.kind == "GPU" else ("CPU", 0)


class OnnxInstance:
    """One instance: a session, and the names of the outputs that are asked of it."""

    per_request = False

    def __init__(self, place: Placement, session: Any, outputs: list[str], scalars: Scalars) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._session = session
        self._outputs = outputs
        self._scalars = scalars
        types = {value.name: value.type for value in (*session.get_inputs(), *session.get_outputs())}
        self._strings = [value.name for value in session.get_inputs() if value.type == "tensor(string)"]
        self._run = self._run_values if "tensor(bfloat16)" in types.values() else session.run

    def execute(self, inputs: "dict[str, Array]") -> "Mapping[str, Array]":
        """Run the session; other Python threads go on meanwhile."""
        for name in self._strings:
            inputs[name] = _texts(inputs[name])
        self._scalars.enter(inputs)
        try:
            values = self._run(self._outputs, inputs)
        except Exception as error:  # as above
            raise BackendError(f"onnx runtime error: {error}") from error
        return self._scalars.leave(dict(zip(self._outputs, values, strict=True)))

    def _run_values(self, outputs: list[str], inputs: "dict[str, Array]") -> "list[Array]":
        """Run with values of ONNX Runtime's own, which have a bfloat16 where its numpy arrays have none."""
        values = {name: _to_value(array) for name, array in inputs.items()}
        return [_from_value(value) for value in self._session.run_with_ort_values(outputs, values)]

    def close(self) -> None:
        """Let go of the session."""
        self._session = self._run = None


def _texts(array: "Array") -> "Array":
    """ONNX strings are texts; raises ``BackendError`` for bytes that are none."""
    import numpy as np

    try:
        return np.array([element.decode() for element in array.ravel()], dtype=object).reshape(array.shape)
    except UnicodeDecodeError as error:
        raise BackendError(f"a string tensor holds bytes that are not UTF-8: {error}") from None


def _to_value(array: "Array") -> Any:
    value = _runtime().OrtValue
    if array.dtype.name == "bfloat16":
        return value.ortvalue_from_numpy_with_onnx_type(array.view("uint16"), _ONNX_BFLOAT16)
    return value.ortvalue_from_numpy(array)


def _from_value(value: Any) -> "Array":
    if value.data_type() != "tensor(bfloat16)":
        array: Array = value.numpy()
        return array
    import ctypes

    import ml_dtypes
    import numpy as np

    size = value.tensor_size_in_bytes()
    memory = (ctypes.c_ubyte * size).from_address(value.data_ptr()) if size else b""
    # A copy: the memory goes with the value.
    return np.frombuffer(memory, dtype=ml_dtypes.bfloat16).reshape(value.shape()).copy()


def _size_bytes(file: Path) -> int:
    """Weights may lie in files beside the model's."""
    return sum(other.stat().st_size for other in file.parent.iterdir() if other.is_file())


@cache
def _runtime() -> Any:
    # It reports to its maker unless it is told not to, before its import. Servers of others' data report to nobody.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime", "onnx") from None
    onnxruntime.disable_telemetry_events()
    return onnxruntime


@cache
def _start_global_pool() -> None:
    _runtime().set_global_thread_pool_sizes(core_count(), core_count())
