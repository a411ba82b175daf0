"""OpenVINO: IR (``model.xml`` with its weights) and ONNX files.

Computes in single precision unless ``INFERENCE_PRECISION_HINT`` says otherwise: OpenVINO itself would choose bfloat16
on processors that have it, and change results without being asked.
"""

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


def open(context: LoadContext) -> "OpenvinoModel":  # noqa: A001 - the verb of every backend
    """Read a model's file and complete its configuration."""
    return OpenvinoModel(context)


class OpenvinoModel:
    """A model as OpenVINO read it, not yet compiled."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._openvino, self._core = _openvino()
        file = context.model_file("model.xml", "model.onnx")
        try:
            self._model = self._core.read_model(str(file))
        except RuntimeError as error:
            raise BackendError(f"unable to load model '{context.model_name}': {error}") from error
        signature = Signature(
            tuple(self._tensor(port) for port in self._model.inputs),
            tuple(self._tensor(port) for port in self._model.outputs),
        )
        self.config = signature.complete(context.config, context.whole_number("default-max-batch-size", 4))

    def instances(self, config: ModelConfig) -> list["OpenvinoInstance"]:
        """Compile once for all instances; each gets a request and a stream of its own."""
        # OpenVINO does not drive CUDA devices.
        places = placements(config, 0)
        properties = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": str(len(places))}
        for name in _PROPERTIES:
            if value := self._context.parameter(name):
                properties[name] = value
        try:
            compiled = self._core.compile_model(self._model, "CPU", properties)
        except RuntimeError as error:
            raise BackendError(f"unable to compile model '{config.name}': {error}") from error
        outputs = {name: port for port in compiled.outputs if (name := _port_name(port))}
        wanted = {output.name: outputs[output.name] for output in config.output}
        return [OpenvinoInstance(place, compiled.create_infer_request(), wanted) for place in places]

    def _tensor(self, port: Any) -> TensorSignature:
        name, element = _port_name(port), port.get_element_type().get_type_name()
        if element not in _TYPES:
            raise BackendError(
                f"unable to load model '{self._context.model_name}': tensor '{name}' has type {element}, "
                "which numpy does not have"
            )
        partial = port.get_partial_shape()
        if partial.rank.is_dynamic:
            raise BackendError(
                f"unable to load model '{self._context.model_name}': tensor '{name}' has no fixed number of dimensions",
                hint="export the model again with the number of dimensions fixed",
            )
        shape = tuple(-1 if size.is_dynamic else size.get_length() for size in partial)
        return TensorSignature(name, _TYPES[element], shape)


class OpenvinoInstance:
    """One instance: a request of the compiled model."""

    per_request = False

    def __init__(self, place: Placement, request: Any, outputs: dict[str, Any]) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._request = request
        self._outputs = outputs

    def execute(self, inputs: dict[str, "np.ndarray[Any, Any]"]) -> Mapping[str, "np.ndarray[Any, Any]"]:
        """Run the request; other Python threads go on meanwhile.

        Inputs are used where they are. Outputs are copied out: the request writes the next ones over them.
        """
        try:
            values = self._request.infer(inputs, share_inputs=True, share_outputs=False)
        except RuntimeError as error:
            raise BackendError(f"openvino error: {error}") from error
        return {name: values[port] for name, port in self._outputs.items()}

    def close(self) -> None:
        """Let go of the request."""
        self._request = None


def _port_name(port: Any) -> str:
    """A port without a name, as some outputs are, is called by its place."""
    return str(port.get_any_name()) if port.get_names() else f"output_{port.get_index()}"


@cache
def _openvino() -> tuple[Any, Any]:
    try:
        import openvino
    except ImportError:
        raise missing("openvino", "openvino") from None
    return openvino, openvino.Core()
