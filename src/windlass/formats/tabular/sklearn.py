"""Models of scikit-learn, saved with skops, joblib or pickle.

The latter two are programs: to load them is to run whatever is in them, and so it takes a person's word.
"""

import contextlib
import pickle
import pickletools
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.config import ModelConfig
from windlass.config.datatypes import BY_CONFIG
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection
from windlass.formats.peek import head, members
from windlass.formats.tabular.rows import compared, inspected, written

_SUFFIXES = {".pkl", ".pickle", ".joblib", ".sav"}
# How streams of pickles begin, plain or as joblib packs them: zlib, gzip, bzip2, xz, lz4.
_STARTS = (
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"x\x01",
    b"x^",
    b"x\x9c",
    b"x\xda",
    b"\x1f\x8b",
    b"BZ",
    b"\xfd7z",
    b'\x04"M',
)


def recognise(path: Path, given: Given) -> "Sklearn | None":
    """Return the model of a pickle, or of a file of skops."""
    is_skops = "schema.json" in members(path)
    is_pickle = head(path).startswith(_STARTS[:4]) or (path.suffix in _SUFFIXES and head(path).startswith(_STARTS))
    return Sklearn(path, given, is_skops=is_skops) if is_skops or is_pickle else None


class Sklearn:
    """A model of scikit-learn."""

    format = "scikit-learn"

    def __init__(self, path: Path, given: Given, *, is_skops: bool) -> None:
        self.path = path
        self._given = given
        self._is_skops = is_skops

    def inspect(self) -> Inspection:
        """Convert it, and tell what it becomes."""
        return inspected(self.write, self.format, self.path)

    def write(self, folder: Path) -> Written:
        """Convert it to ONNX, and ask both about the same rows."""
        model = self._loaded()
        if not hasattr(model, "get_params") or not (hasattr(model, "predict") or hasattr(model, "transform")):
            raise UsageError(
                f"`{self.path}` holds no model of scikit-learn",
                found=f"{type(model).__module__}.{type(model).__qualname__}",
                hint="save the fitted model itself: `skops.io.dump(model, 'model.skops')`",
            )
        if self._given.inputs or not getattr(model, "n_features_in_", 0):
            return self._by_types(model, folder)
        features = int(model.n_features_in_)
        types = _library("skl2onnx.common.data_types")
        file = written(self._converted(model, [("features", types.FloatTensorType([None, features]))]), folder)
        ask = getattr(model, "predict_proba", None) or getattr(model, "predict", None) or model.transform
        return compared(file, ask, features, self.path)

    def _by_types(self, model: Any, folder: Path) -> Written:
        """Convert a model whose inputs a person names, e.g. columns of texts."""
        if not self._given.inputs:
            raise UsageError(
                f"`{self.path}` does not tell what it takes",
                found=f"{type(model).__name__}",
                hint="add `--input text:STRING[-1,1]`, or one `--input` for each of its columns",
            )
        types = _library("skl2onnx.common.data_types")
        named = {
            "FP32": "FloatTensorType",
            "FP64": "DoubleTensorType",
            "INT64": "Int64TensorType",
            "BYTES": "StringTensorType",
        }
        kinds = []
        for one in self._given.inputs:
            wire = BY_CONFIG[one.data_type].wire
            if wire not in named:
                raise UsageError(
                    f"input `{one.name}`: scikit-learn's converter takes no {wire}",
                    hint="say FP32, FP64, INT64 or STRING",
                )
            kinds.append((one.name, getattr(types, named[wire])([None if size < 0 else size for size in one.shape])))
        written(self._converted(model, kinds), folder)
        return Written(ModelConfig(backend="onnxruntime"), ("converted to ONNX",))

    def _converted(self, model: Any, kinds: list[tuple[str, Any]]) -> Any:
        library = _library("skl2onnx")
        # Those of XGBoost and LightGBM have no newer one.
        operators = {"": library.__max_supported_opset__, "ai.onnx.ml": 3}
        convert = partial(library.to_onnx, model, initial_types=kinds, target_opset=operators)
        _register_trees()
        # Arrays and no dictionaries; converters of models that have no such choice say that they do not know it.
        plain = {id(model): {"zipmap": False}} if import_module("sklearn.base").is_classifier(model) else None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    return convert(options=plain)
                except NameError:
                    return convert()
        except Exception as error:  # converters raise what they like
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"`{self.path}` cannot be converted to ONNX: {said}",
                found=type(model).__name__,
                hint="is it fitted? Else serve it as a Python model: see docs/guides/add-a-model.md",
            ) from error

    def _loaded(self) -> Any:
        _library("sklearn")
        if self._is_skops:
            return self._from_skops()
        if not self._given.trust:
            raise UsageError(
                f"`{self.path}` is a pickle: to load it is to run whatever code is in it",
                found=f"it names {', '.join(names)}" if (names := _named(self.path)) else None,
                hint="add `--trust` if it comes from somebody you trust, or save the model with skops",
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _library("joblib").load(self.path)
        except Exception as error:  # the file's own code
            said = (str(error).strip().splitlines() or [""])[0]
            raise UsageError(f"`{self.path}` does not load: {type(error).__name__}: {said}") from error

    def _from_skops(self) -> Any:
        skops = _library("skops.io")
        try:
            unknown = skops.get_untrusted_types(file=str(self.path))
            if unknown and not self._given.trust:
                raise UsageError(
                    f"`{self.path}` holds types that skops does not know to be harmless",
                    found=", ".join(unknown),
                    hint="add `--trust` if it comes from somebody you trust",
                )
            return skops.load(str(self.path), trusted=unknown)
        except UsageError:
            raise
        except Exception as error:  # anything may be in the file
            raise UsageError(f"`{self.path}` is no file of skops: {error}") from error


def _named(path: Path) -> list[str]:
    """Return what a pickle would import, as far as that can be read without loading it."""
    names: dict[str, None] = {}
    texts: list[str] = []
    try:
        with path.open("rb") as opened:
            for opcode, argument, _ in pickletools.genops(opened):
                if isinstance(argument, str):
                    texts.append(argument)
                if opcode.name == "GLOBAL":
                    names[str(argument).replace(" ", ".")] = None
                if opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                    names[f"{texts[-2]}.{texts[-1]}"] = None
    except (ValueError, OSError, pickle.UnpicklingError, IndexError):
        pass  # arrays lie between the instructions of joblib's files
    return list(names)[:4]


def _register_trees() -> None:
    """Let the converter know the models of XGBoost and LightGBM, where these are installed."""
    for name, owner, short in (("xgboost", "XGB", "XGBoost"), ("lightgbm", "LGBM", "LightGbm")):
        with contextlib.suppress(ImportError):
            _register(name, owner, f"onnxmltools.convert.{name}.operator_converters.{short}")


def _register(name: str, owner: str, converters: str) -> None:
    library, convert = import_module(name), getattr(import_module(converters), f"convert_{name}")
    shapes = import_module("skl2onnx.common.shape_calculator")
    of_classes, of_numbers = (
        shapes.calculate_linear_classifier_output_shapes,
        shapes.calculate_linear_regressor_output_shapes,
    )
    choices = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    for kind, shape, options in (("Classifier", of_classes, choices), ("Regressor", of_numbers, None)):
        model = getattr(library, f"{owner}{kind}")
        _library("skl2onnx").update_registered_converter(
            model, f"Windlass{owner}{kind}", shape, convert, options=options
        )


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise missing(name.partition(".")[0], "sklearn") from None
