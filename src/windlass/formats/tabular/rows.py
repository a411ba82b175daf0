"""Models over rows of numbers become ONNX: what their converters have in common."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from windlass.backends.backend import missing
from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.inspection import Inspection
from windlass.formats.onnx import Onnx

Array = np.ndarray[Any, Any]

# What converters call the numbers of a regression.
_RENAMED = {"variable": "prediction"}
_ROWS = 64


def written(model: Any, folder: Path) -> Path:
    """Write a converted model; the first axis of everything is the batch, whatever the converter says of it.

    Small images know no language: texts are compared in the locale that every system has.
    """
    import onnx

    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("locale", "C.UTF-8")])
    for output in model.graph.output:
        _rename(model, output, _RENAMED.get(output.name, output.name))
        if output.type.tensor_type.shape.dim:
            output.type.tensor_type.shape.dim[0].Clear()
    versions = {one.domain: one.version for one in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in versions.items())
    onnx.save(model, str(folder / "model.onnx"))
    return folder / "model.onnx"


def _rename(model: Any, output: Any, name: str) -> None:
    for node in model.graph.node:
        node.output[:] = [name if made == output.name else made for made in node.output]
        node.input[:] = [name if taken == output.name else taken for taken in node.input]
    output.name = name


def inspected(write: Callable[[Path], Written], kind: str, path: Path) -> Inspection:
    """Look at what a model becomes."""
    with tempfile.TemporaryDirectory(prefix="windlass-inspect-") as above:
        notes = write(Path(above)).notes
        found = Onnx(Path(above) / "model.onnx").inspect()
    return Inspection(
        kind,
        found.inputs,
        found.outputs,
        found.operators,
        path.stat().st_size,
        found.precisions,
        found.engines,
        (*notes, *found.notes),
    )


def compared(model: Path, predict: Callable[[Array], Array], features: int, where: Path) -> Written:
    """Ask the original and what became of it about the same rows; raises ``UsageError`` where they disagree.

    Trees decide at thresholds, and ONNX compares in single precision: a row that lies on one may go the other way.
    """
    rows = np.random.default_rng(0).standard_normal((_ROWS, features)).astype(np.float32)
    outputs = _session(model).run(None, {"features": rows})
    wanted = np.asarray(predict(rows))
    # Of two outputs the first is the class, and the second says how likely each one is.
    told = np.asarray(outputs[-1] if wanted.dtype.kind == "f" else outputs[0])
    made = told if told.size == wanted.size else np.asarray(outputs[0])
    alike = _alike(made.reshape(wanted.shape) if made.size == wanted.size else made, wanted)
    if alike < 0.95:
        raise UsageError(
            f"`{where}` does not convert: ONNX agrees with it on {alike:.0%} of {_ROWS} rows",
            hint="serve it as a Python model: see docs/guides/add-a-model.md",
        )
    said = "all" if alike == 1 else f"{alike:.0%}"
    return Written(
        ModelConfig(backend="onnxruntime"), (f"converted to ONNX, which agrees on {said} of {_ROWS} generated rows",)
    )


def _alike(made: Array, wanted: Array) -> float:
    """Return the share of rows on which two predictions agree."""
    if made.shape != wanted.shape:
        return 0.0
    if wanted.dtype.kind != "f":
        return float(np.mean(made.astype(str) == wanted.astype(str)))
    close = np.isclose(made.astype(float), wanted.astype(float), rtol=1e-3, atol=1e-4, equal_nan=True)
    return float(np.mean(close.reshape(len(wanted), -1).all(axis=1)))


def _session(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime", "onnx") from None
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
