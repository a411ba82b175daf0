"""OpenVINO: IR (``model.xml`` with its weights) and ONNX files.

Threads. OpenVINO divides its threads among the instances. It counts the machine's cores, and so is told how many it
may use where that is less.

Computes in single precision unless ``INFERENCE_PRECISION_HINT`` says otherwise: OpenVINO itself would choose
bfloat16 on processors that have it, and change results without being asked.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import windlass
from windlass.backends.backend import LoadContext, missing
from windlass.backends.compiled import name_of, processor
from windlass.backends.cores import core_count
from windlass.backends.placement import Placement, no_gpus, placements
from windlass.backends.signature import Scalars, Signature, TensorSignature
from windlass.backends.threads import Threads, set_for
from windlass.config import ModelConfig, as_executed, normalise
from windlass.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

log = logging.getLogger("windlass")

_TELEMETRY = "openvino_telemetry"

# Smaller models are compiled sooner than they are looked up.
WORTH_KEEPING_BYTES = 1 << 20

_TYPES = {
    "boolean": "TYPE_BOOL",
    "u8": "TYPE_UINT8",
    "u16": "TYPE_UINT16",
    "u32": "TYPE_UINT32",
    "u64": "TYPE_UINT64",
    "i8": "TYPE_INT8",
    "i16": "TYPE_INT16",
    "i32": "TYPE_INT32",
    "i64": "TYPE_INT64",
    "f16": "TYPE_FP16",
    "bf16": "TYPE_BF16",
    "f32": "TYPE_FP32",
    "f64": "TYPE_FP64",
    "string": "TYPE_STRING",
}
# Properties of OpenVINO that a model's parameters may set.
_PROPERTIES = (
    "INFERENCE_PRECISION_HINT",
    "INFERENCE_NUM_THREADS",
    "NUM_STREAMS",
    "PERFORMANCE_HINT",
    "CACHE_DIR",
)

# First executions of a process take turns; see where it is used.
_FIRST = threading.Lock()


def open(context: LoadContext) -> "OpenvinoModel":
    """Read a model's file and complete its configuration."""
    return OpenvinoModel(context)


class OpenvinoModel:
    """A model as OpenVINO read it, or as it was compiled at an earlier start."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._core = _core()
        self.threads: Threads | None = None
        self._file = context.model_file("model.xml", "model.onnx")
        places = placements(normalise(context.config, context.model_name), no_gpus)
        self._properties = self._chosen(len(places))
        self._kept = self._name()
        # What was compiled before knows its inputs and outputs too: reading the file is spared.
        self._mapped: Any = None
        self._compiled = self._taken()
        ports = self._compiled or self._read()
        self._signature = Signature(
            tuple(self._tensor(port) for port in ports.inputs),
            tuple(self._tensor(port) for port in ports.outputs),
        )
        default = context.whole_number("default-max-batch-size", 4)
        self.config = self._signature.complete(context.config, default)

    def instances(self, config: ModelConfig) -> list["OpenvinoInstance"]:
        """Compile once for all instances; each gets a request and a stream of its own."""
        places = placements(config, no_gpus)
        compiled = self._compiled or self._compile()
        self.threads = self._threads(compiled, len(places))
        outputs = {port.get_any_name(): port for port in compiled.outputs}
        wanted = {output.name: outputs[output.name] for output in as_executed(config).output}
        scalars = self._signature.scalars(config)
        requests = [(place, compiled.create_infer_request()) for place in places]
        return [OpenvinoInstance(place, request, wanted, scalars, self._mapped) for place, request in requests]

    def _read(self) -> Any:
        try:
            self._model = self._core.read_model(str(self._file))
        except RuntimeError as error:
            raise self._context.failure(_said(error)) from error
        return self._model

    def _chosen(self, instances: int) -> dict[str, str]:
        properties = {"INFERENCE_PRECISION_HINT": "f32"}
        if core_count() < (os.cpu_count() or 1):
            properties["INFERENCE_NUM_THREADS"] = str(core_count())
        for name in _PROPERTIES:
            if value := self._context.parameter(name):
                properties[name] = value
        if "PERFORMANCE_HINT" not in properties:
            properties.setdefault("NUM_STREAMS", str(instances))
        return properties

    def _name(self) -> str:
        """Return the name under which its compiled form is kept; none where it is not."""
        kept, folder = self._context.compiled, self._context.version_dir
        size = sum(path.stat().st_size for path in self._file.parent.iterdir() if path.is_file())
        # A model that names a `CACHE_DIR` leaves the keeping to OpenVINO.
        if kept is None or "CACHE_DIR" in self._properties or size < WORTH_KEEPING_BYTES:
            return ""
        versions, files = (library().__version__, windlass.__version__), kept.digest(folder)
        return name_of("openvino", self._file.name, files, versions, processor(), sorted(self._properties.items()))

    def _taken(self) -> Any:
        """Return what was compiled at an earlier start; nothing where there is none that can be used."""
        kept = self._context.compiled
        if not self._kept or kept is None or (found := kept.read(self._kept)) is None:
            return None
        import numpy as np

        # OpenVINO leaves weights where they are, and holds nothing that keeps them there.
        self._mapped = np.frombuffer(found, np.uint8)
        try:
            tensor = library().Tensor(self._mapped, shared_memory=True)
            compiled = self._core.import_model(tensor, "CPU", self._properties)
        except RuntimeError as error:
            self._mapped = None
            kept.drop(self._kept, _said(error))
            return None
        log.info("model `%s`: was compiled before, and is taken from `%s`", self._context.model_name, kept.folder)
        return compiled

    def _compile(self) -> Any:
        context = self._context
        try:
            compiled = self._core.compile_model(self._model, "CPU", self._properties)
        except RuntimeError as error:
            raise context.failure(_said(error)) from error
        if self._kept and context.compiled is not None:
            try:
                context.compiled.write(self._kept, compiled.export_model().getvalue())
            except RuntimeError as error:
                log.info("model `%s`: its compiled form cannot be kept: %s", context.model_name, _said(error))
        return compiled

    def _threads(self, compiled: Any, instances: int) -> Threads:
        total = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        # Instances beyond the streams that the cores allow take turns.
        computing = min(instances, int(compiled.get_property("NUM_STREAMS")))
        setting, _ = set_for(self._context, "openvino") or ("", 0)
        return Threads(computing, max(1, total // computing), core_count(), setting)

    def _tensor(self, port: Any) -> TensorSignature:
        if not port.get_names():
            # An export may leave an output without a name; its place is one that stays.
            port.set_names({f"output_{port.get_index()}"})
        name, element = port.get_any_name(), port.get_element_type().get_type_name()
        if element not in _TYPES:
            raise self._context.failure(f"tensor '{name}' has type {element}, which is not served")
        partial = port.get_partial_shape()
        if partial.rank.is_dynamic:
            raise self._context.failure(
                f"tensor '{name}' has no fixed number of dimensions",
                hint="export the model again with the number of dimensions fixed",
            )
        shape = tuple(-1 if size.is_dynamic else size.get_length() for size in partial)
        return TensorSignature(name, _TYPES[element], shape)


class OpenvinoInstance:
    """One instance: a request of the compiled model."""

    per_request = False

    def __init__(
        self, place: Placement, request: Any, outputs: dict[str, Any], scalars: Scalars, mapped: Any = None
    ) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._request = request
        # The memory with the weights, which has to outlive the request.
        self._mapped = mapped
        self._outputs = outputs
        self._scalars = scalars
        self._begun = False

    def execute(self, inputs: "dict[str, Array]") -> "Mapping[str, Array]":
        """Run the request; other Python threads go on meanwhile.

        Inputs are used where they are. Outputs are copied out of the request's memory, which the next execution
        writes over: an array that was handed out stays as it is.
        """
        self._scalars.enter(inputs)
        given = {name: _plain(array) for name, array in inputs.items()}
        try:
            values = self._infer(given) if self._begun else self._infer_first(given)
        except RuntimeError as error:
            raise BackendError(f"openvino error: {_said(error)}") from error
        return self._scalars.leave({name: _typed(values[port], port) for name, port in self._outputs.items()})

    def _infer(self, given: "dict[str, Array]") -> Any:
        return self._request.infer(given, share_inputs=True, share_outputs=False)

    def _infer_first(self, given: "dict[str, Array]") -> Any:
        """Let first executions of a process come one after the other.

        Two at a time wait for each other for ever: one for the interpreter, which the other keeps while it waits for
        what OpenVINO makes once.
        """
        with _FIRST:
            values = self._infer(given)
        self._begun = True
        return values

    def close(self) -> None:
        """Let go of the request, and of the weights after it."""
        self._request = None
        self._outputs = {}
        self._mapped = None


def _plain(array: "Array") -> "Array":
    """OpenVINO takes strings as numpy's of fixed width, which lose only zero bytes at their ends."""
    return array.astype("S") if array.dtype.kind == "O" else array


def _typed(array: "Array", port: Any) -> "Array":
    """Numpy has no bfloat16, and OpenVINO shows its bits as float16; its strings are of fixed width."""
    if array.dtype.kind == "U":
        import numpy as np

        return np.array([element.encode() for element in array.ravel()], dtype=object).reshape(array.shape)
    if array.dtype == "float16" and port.get_element_type().get_type_name() == "bf16":
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)
    return array


def _said(error: RuntimeError) -> str:
    """Take OpenVINO's own places in its source out of what it says."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith("Exception from "))


@cache
def _core() -> Any:
    return library().Core()


@cache
def library() -> Any:
    """Return OpenVINO, which finds nothing to report with: unless told otherwise it tells its makers of conversions.

    Raises ``BackendError`` where it is not installed.
    """
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError:
        raise missing("openvino", "openvino") from None
    return openvino
