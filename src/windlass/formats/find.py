"""From a path to the format of the model there: by content, and by name where the content does not tell."""

from pathlib import Path

from windlass.errors import UsageError
from windlass.formats import onnx, openvino
from windlass.formats.found import Found
from windlass.formats.given import NOTHING, Given
from windlass.formats.huggingface import folder
from windlass.formats.peek import members
from windlass.formats.pytorch import exported, module, torchscript, weights
from windlass.formats.tabular import boosted, sklearn

# In the order in which they are asked.
_FORMATS = (onnx, openvino, torchscript, exported, folder, weights, boosted, sklearn)

TAKEN = (
    "an ONNX file (.onnx)",
    "OpenVINO IR (.xml with its .bin)",
    "TorchScript (.pt)",
    "an exported program (.pt2)",
    "a Python file with the function that builds a module (module.py:build)",
    "weights (.safetensors, .pt) with `--architecture module.py:build`",
    "a Hugging Face folder",
    "scikit-learn (.skops, .joblib, .pkl)",
    "XGBoost (.json, .ubj)",
    "LightGBM (.txt)",
)

# What people have that nothing here takes, and the way from there.
_FOREIGN = {
    ".keras": ("a Keras model", "write it as ONNX first: `model.export('model.onnx', format='onnx')`"),
    ".h5": ("a Keras model", "write it as ONNX first: `model.export('model.onnx', format='onnx')`"),
    ".pb": ("a TensorFlow graph", "write it as ONNX first: `python -m tf2onnx.convert`"),
    ".tflite": ("a TensorFlow Lite model", "write it as ONNX first: `python -m tf2onnx.convert --tflite`"),
    ".plan": ("a TensorRT engine", "add the model that it was built from: an engine fits one kind of GPU only"),
    ".engine": ("a TensorRT engine", "add the model that it was built from: an engine fits one kind of GPU only"),
    ".gguf": ("a GGUF file", "add the Hugging Face folder that it was made from"),
    ".bin": ("weights", "name the .xml beside it if it is OpenVINO's, or add `--architecture module.py:build`"),
}


def find(path: Path | str, given: Given = NOTHING) -> Found:
    """Recognise the model at a path; ``FILE.py:NAME`` names what builds a module.

    Raises ``UsageError`` that says what is there instead, and what could be.
    """
    file, builder = _parted(str(path))
    if not file.exists():
        raise UsageError(f"`{file}` is not there", hint=_beside(file))
    if file.suffix == ".py":
        return module.ModuleFile(file, builder or "build", given)
    if file.is_file() and not file.stat().st_size:
        raise UsageError(f"`{file}` is empty", hint="was it copied to its end?")
    for candidate in (file, *_inside(file)):
        for kind in _FORMATS:
            found: Found | None = kind.recognise(candidate, given)
            if found is not None:
                return found
    raise _unknown(file)


def _parted(text: str) -> tuple[Path, str]:
    file, colon, builder = text.rpartition(":")
    return (Path(file), builder) if colon and file.endswith(".py") else (Path(text), "")


def _inside(path: Path) -> list[Path]:
    """Return the files of a folder that may be its model, where there is one such file only."""
    if not path.is_dir():
        return []
    for pattern in ("*.onnx", "*.xml", "*.pt2", "onnx/model.onnx"):
        if len(files := sorted(path.glob(pattern))) == 1:
            return files
    return []


def _beside(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder `{folder}` either"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    return (
        f"`{folder}` has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else f"`{folder}` is empty"
    )


def _unknown(path: Path) -> UsageError:
    foreign = _FOREIGN.get(path.suffix.lower())
    if path.is_dir() and (path / "saved_model.pb").is_file():
        foreign = ("a TensorFlow SavedModel", "write it as ONNX first: `python -m tf2onnx.convert --saved-model`")
    if foreign:
        return UsageError(f"`{path}` is not taken", found=foreign[0], hint=foreign[1])
    return UsageError(
        f"`{path}` is no model that is known here", found=_contents(path), hint=f"taken are {'; '.join(TAKEN)}"
    )


def _contents(path: Path) -> str:
    inside = [entry.name for entry in sorted(path.iterdir())] if path.is_dir() else list(members(path))
    kind = "a folder" if path.is_dir() else "a zip file" if inside else f"a file of {path.stat().st_size} bytes"
    if not inside:
        return f"{kind}, empty" if path.is_dir() else kind
    return f"{kind} with {', '.join(inside[:6])}{', ...' if len(inside) > 6 else ''}"
