"""XGBoost (JSON and UBJ) and LightGBM (text): boosted trees, as these libraries write them. Reading runs no code."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection
from windlass.formats.peek import head
from windlass.formats.tabular.rows import Array, compared, inspected, written


def recognise(path: Path, _given: Given) -> "XGBoost | LightGBM | None":
    """Return the model of a file that one of the two libraries wrote."""
    start = head(path, 4096)
    if b"learner" in start and start[:1] == b"{":
        return XGBoost(path)
    return LightGBM(path) if start.startswith(b"tree\nversion=") else None


class XGBoost:
    """Trees of XGBoost."""

    format = "XGBoost"

    def __init__(self, path: Path) -> None:
        self.path = path

    def inspect(self) -> Inspection:
        """Convert it, and tell what it becomes."""
        return inspected(self.write, self.format, self.path)

    def write(self, folder: Path) -> Written:
        """Convert it to ONNX, and ask both about the same rows."""
        xgboost = _library("xgboost")
        booster = xgboost.Booster()
        _read(lambda: booster.load_model(str(self.path)), self.path)
        features = int(booster.num_features())
        # The converter finds features by number.
        booster.feature_names = None
        model = _converted("convert_xgboost", booster, features, self.path)

        def predict(rows: Array) -> Array:
            made: Array = booster.predict(xgboost.DMatrix(rows))
            return made

        return compared(written(model, folder), _as_classes(model, predict), features, self.path)


class LightGBM:
    """Trees of LightGBM."""

    format = "LightGBM"

    def __init__(self, path: Path) -> None:
        self.path = path

    def inspect(self) -> Inspection:
        """Convert it, and tell what it becomes."""
        return inspected(self.write, self.format, self.path)

    def write(self, folder: Path) -> Written:
        """Convert it to ONNX, and ask both about the same rows."""
        lightgbm = _library("lightgbm")
        booster = _read(lambda: lightgbm.Booster(model_file=str(self.path)), self.path)
        features = int(booster.num_feature())
        model = _converted("convert_lightgbm", booster, features, self.path, zipmap=False)
        return compared(written(model, folder), _as_classes(model, booster.predict), features, self.path)


def _as_classes(model: Any, predict: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Of two classes the libraries tell the second's probability, and ONNX both."""
    classifies = len(model.graph.output) == 2

    def both(rows: Array) -> Array:
        import numpy as np

        made = np.asarray(predict(rows))
        return np.stack([1 - made, made], axis=1) if classifies and made.ndim == 1 else made

    return both


def _converted(converter: str, booster: Any, features: int, path: Path, **options: Any) -> Any:
    tools = _library("onnxmltools")
    types = import_module("onnxmltools.convert.common.data_types")
    try:
        return getattr(tools, converter)(
            booster, initial_types=[("features", types.FloatTensorType([None, features]))], **options
        )
    except Exception as error:  # converters raise what they like
        raise UsageError(
            f"`{path}` cannot be converted to ONNX: {error}",
            hint="serve it as a Python model: see docs/guides/add-a-model.md",
        ) from error


def _read(read: Callable[[], Any], path: Path) -> Any:
    try:
        return read()
    except Exception as error:  # both libraries have errors of their own
        said = str(error).strip().splitlines()
        raise UsageError(
            f"`{path}` cannot be read: {said[-1] if said else error}", hint="was it copied to its end?"
        ) from None


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise missing(name, "trees") from None
