"""ONNX Runtime: its quantiser, after its own preparation of the graph, and its conversion to halves."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.errors import ConversionError
from windlass.optimize.quantize.given import Array, Given, Made
from windlass.optimize.quantize.processor import saturates
from windlass.optimize.quiet import conversion

FILE = "model.onnx"

# What ONNX Runtime computes in 8 bits with ranges that it finds as it goes. Of convolutions it does not with the
# symmetric weights that are quick everywhere else.
_DYNAMIC = ["MatMul", "Gemm", "Gather", "Attention", "EmbedLayerNormalization", "LSTM"]
# Where there are no convolutions, what is between products stays as it is: the outliers of transformers are there.
_PRODUCTS = ["MatMul", "Gemm", "Gather"]
_PRODUCTS_ONLY = {"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": _PRODUCTS}
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_IN_8_BITS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"}
_IN_8_BITS |= {"QLinearConv", "QLinearMatMul", "QAttention", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"}
# A file cannot hold more than 2 GiB; the rest lies beside it.
_BESIDE_BYTES = 1 << 30


def fp16(given: Given, folder: Path) -> Made:
    """Turn floats into halves; inputs and outputs stay as they are."""
    onnx = _onnx()
    with conversion(f"ONNX Runtime cannot turn `{given.source.text}` into halves", "choose `--to int8-dynamic`"):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        large = given.size_bytes > _BESIDE_BYTES
        model = convert_float_to_float16(onnx.load(str(given.file)), keep_io_types=True, disable_shape_infer=large)
        if not any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in model.graph.initializer):
            raise ConversionError(f"`{given.source.text}` has no weights in single precision", hint="serve it as it is")
        _save(model, folder, large)
    note = "ONNX Runtime has few operators in halves for processors and converts around the others: GPUs gain by it"
    return Made("ONNX Runtime's conversion to halves", FILE, notes=(note,))


def int8_dynamic(given: Given, folder: Path) -> Made:
    """Quantise weights; ranges of what is computed are found as it goes."""
    with conversion(f"ONNX Runtime cannot quantise `{given.source.text}`", _hint(given)):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        operators = _unquantised(given)
        with _prepared(given) as prepared:
            quantize_dynamic(
                prepared,
                folder / FILE,
                op_types_to_quantize=_DYNAMIC,
                per_channel=True,
                reduce_range=saturates(),
                weight_type=QuantType.QInt8,
                use_external_data_format=given.size_bytes > _BESIDE_BYTES,
            )
        _require_8_bits(given, folder)
    left = sum(operators[name] for name in _CONVOLUTIONS)
    note = f"{left} convolutions stay as they were: ONNX Runtime needs their ranges before, as `--to int8` has them"
    return Made("ONNX Runtime's dynamic quantisation", FILE, notes=(note,) if left else ())


def int8(given: Given, folder: Path) -> Made:
    """Quantise what is computed as well, with ranges read off the calibration data."""
    with conversion(f"ONNX Runtime cannot quantise `{given.source.text}`", _hint(given)):
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        operators = _unquantised(given)
        convolutions = any(operators[name] for name in _CONVOLUTIONS)
        with _prepared(given) as prepared:
            quantize_static(
                prepared,
                folder / FILE,
                _Reader(given),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=None if convolutions else _PRODUCTS,
                per_channel=True,
                reduce_range=saturates(),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={} if convolutions else dict(_PRODUCTS_ONLY),
                use_external_data_format=given.size_bytes > _BESIDE_BYTES,
            )
        _require_8_bits(given, folder)
    return Made("ONNX Runtime's static quantisation", FILE)


class _Reader:
    """Calibration data as ONNX Runtime asks for it."""

    def __init__(self, given: Given) -> None:
        graph = _onnx().load(str(given.file), load_external_data=False).graph
        ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.input}
        self._requests: Iterator[dict[str, Array]] = given.requests(ranks)

    def get_next(self) -> "dict[str, Array] | None":
        """Return the next request, or that there is none."""
        return next(self._requests, None)


@contextmanager
def _prepared(given: Given) -> Iterator[Path]:
    """Yield the model with its shapes known and its constants folded, as the quantiser wants it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="windlass-quantize-") as folder:
        file = Path(folder) / FILE
        # ONNX's own inference of shapes suffices, and the other one stumbles over what exporters write today.
        large = given.size_bytes > _BESIDE_BYTES
        quant_pre_process(str(given.file), str(file), skip_symbolic_shape=True, save_as_external_data=large)
        # The quantiser finds shapes again, and trips over those that were written down where it turns a matrix around.
        onnx = _onnx()
        model = onnx.load(str(file), load_external_data=False)
        del model.graph.value_info[:]
        onnx.save(model, str(file))
        yield file


def _unquantised(given: Given) -> Counter[str]:
    """Return how many operators of each kind there are. Raises ``ConversionError`` where some have 8 bits already."""
    operators = _operators(given.file)
    if found := sorted(_IN_8_BITS & operators.keys()):
        raise ConversionError(
            f"`{given.source.text}` has 8 bits already",
            where=str(given.file),
            found=", ".join(found),
            hint="quantise the version that it was made from",
        )
    return operators


def _require_8_bits(given: Given, folder: Path) -> None:
    if not _IN_8_BITS & _operators(folder / FILE).keys():
        raise ConversionError(
            f"`{given.source.text}` has nothing that ONNX Runtime quantises like this",
            where=str(given.file),
            found=", ".join(f"{count} {name}" for name, count in _operators(given.file).most_common(5)),
            hint="serve it as it is, or choose another precision",
        )


def _operators(file: Path) -> Counter[str]:
    return Counter(node.op_type for node in _onnx().load(str(file), load_external_data=False).graph.node)


def _save(model: Any, folder: Path, large: bool) -> None:
    _onnx().save(model, str(folder / FILE), save_as_external_data=large, location=f"{FILE}.data" if large else None)


def _hint(given: Given) -> str:
    return f"`windlass export {given.source.text} --to openvino`, then quantise that version"


def _onnx() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401 - both are needed
    except ImportError as error:
        raise missing(error.name or "onnx", "quantize") from None
    return onnx
