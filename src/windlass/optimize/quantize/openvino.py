"""OpenVINO: NNCF finds ranges and compresses weights; halves are OpenVINO's own doing.

NNCF tells its makers who uses it, unless it is kept from doing so; here it is.
"""

from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.backends.openvino import library
from windlass.errors import ConversionError
from windlass.optimize.quantize.given import Given, Made
from windlass.optimize.quiet import conversion

FILE = "model.xml"
# Attention and normalisation: their outliers are what NNCF's scheme for transformers is about.
_ATTENTION = ({"ScaledDotProductAttention"}, {"MVN", "Softmax"})


def fp16(given: Given, folder: Path) -> Made:
    """Keep weights as halves; they are single again in memory, where the model computes as before."""
    with conversion(f"OpenVINO cannot hold `{given.source.text}` in halves", "serve it as it is"):
        library().save_model(_read(given), str(folder / FILE), compress_to_fp16=True)
    note = (
        "weights are halves on disk and single in memory: the parameter `INFERENCE_PRECISION_HINT: f16` computes "
        "in halves, on processors that do"
    )
    return Made("OpenVINO, weights as halves", FILE, notes=(note,))


def bf16(given: Given, folder: Path) -> Made:
    """Have OpenVINO compute in bfloat16: a setting, with the weights as they are."""
    if "BF16" not in library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ConversionError(
            "this processor does not compute in bfloat16, so it would only be slower",
            hint="choose `--to int8-dynamic` or `--to int8`, or do this where the model is served",
        )
    with conversion(f"OpenVINO cannot write `{given.source.text}`", "serve it as it is"):
        library().save_model(_read(given), str(folder / FILE), compress_to_fp16=False)
    return Made("OpenVINO, computing in bfloat16", FILE, {"INFERENCE_PRECISION_HINT": "bf16"})


def int8_dynamic(given: Given, folder: Path) -> Made:
    """Compress weights to 8 bits; OpenVINO finds the ranges of what it computes as it goes."""
    nncf = _nncf()
    with conversion(f"NNCF cannot compress `{given.source.text}`", _hint(given)):
        model = _unquantised(given)
        compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
        _write(compressed, given, folder)
    return Made("NNCF weight compression", FILE)


def int8(given: Given, folder: Path) -> Made:
    """Quantise what is computed as well, with ranges read off the calibration data."""
    nncf = _nncf()
    with conversion(f"NNCF cannot quantise `{given.source.text}`", _hint(given)):
        model = _unquantised(given)
        ranks = {port.get_any_name(): len(port.get_partial_shape()) for port in model.inputs}
        requests = list(given.requests(ranks, size=1))
        attention = _has_attention(model)
        quantised = nncf.quantize(
            model,
            nncf.Dataset(requests),
            subset_size=len(requests),
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
        )
        _write(quantised, given, folder)
    scheme = ", the scheme for transformers" if attention else ""
    return Made(f"NNCF post-training quantisation{scheme}", FILE)


def _read(given: Given) -> Any:
    return library().Core().read_model(str(given.file))


def _unquantised(given: Given) -> Any:
    model = _read(given)
    if _has_8_bits(model):
        raise ConversionError(
            f"`{given.source.text}` has 8 bits already",
            where=str(given.file),
            hint="quantise the version that it was made from",
        )
    return model


def _write(model: Any, given: Given, folder: Path) -> None:
    if not _has_8_bits(model):
        raise ConversionError(
            f"`{given.source.text}` has nothing that gains by 8 bits: no product of matrices and no convolution",
            where=str(given.file),
            hint="serve it as it is",
        )
    library().save_model(model, str(folder / FILE), compress_to_fp16=False)


def _has_8_bits(model: Any) -> bool:
    operations = model.get_ops()
    if any(operation.get_type_name() == "FakeQuantize" for operation in operations):
        return True
    constants = (operation for operation in operations if operation.get_type_name() == "Constant")
    return any(
        constant.get_element_type().get_type_name() in {"i8", "u8"} and len(constant.get_output_shape(0)) > 1
        for constant in constants
    )


def _has_attention(model: Any) -> bool:
    kinds = {operation.get_type_name() for operation in model.get_ops()}
    return any(some <= kinds for some in _ATTENTION)


def _hint(given: Given) -> str:
    return f"choose another precision, or export `{given.source.text}` to `onnx` and quantise that version"


def _nncf() -> Any:
    # It would report its use as OpenVINO does.
    library()
    with conversion("NNCF does not start", "pip install --upgrade 'windlass[quantize]'"):
        return _import_nncf()


def _import_nncf() -> Any:
    try:
        import nncf
    except ImportError:
        raise missing("nncf", "quantize") from None
    return nncf
