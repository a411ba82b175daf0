"""Folders as Hugging Face's libraries write them: ``config.json``, weights, and perhaps how sentences are embedded."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.huggingface import inputs, sentences
from windlass.formats.inspection import Inspection
from windlass.formats.peek import size_bytes
from windlass.formats.pytorch.capture import capture
from windlass.formats.pytorch.module import inspect_captured
from windlass.formats.pytorch.results import reason
from windlass.formats.pytorch.types import torch, torch_quietly

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def recognise(path: Path, given: Given) -> "HuggingFace | None":
    """Return the model of a folder that has a configuration and weights."""
    has_weights = path.is_dir() and any(next(path.glob(pattern), None) for pattern in _WEIGHTS)
    return HuggingFace(path, given) if has_weights and (path / "config.json").is_file() else None


class HuggingFace:
    """A model that the library transformers builds."""

    format = "Hugging Face"

    def __init__(self, path: Path, given: Given) -> None:
        self.path = path
        self._given = given

    def inspect(self) -> Inspection:
        """Build the model and capture it: what is told is what would be served."""
        with tempfile.TemporaryDirectory(prefix="windlass-inspect-") as above:
            written = self.write(Path(above))
            found = inspect_captured(Path(above), written)
        name = f"{self.format}, {_described(self.path)}"
        return replace(found, format=name, size_bytes=size_bytes(self.path), notes=(*written.notes, *found.notes))

    def write(self, folder: Path) -> Written:
        """Build the model and write it as an exported program."""
        notes = []
        with _silent():
            model, dtype = self._model()
            if dtype != "float32":
                notes.append(
                    f"the weights are {dtype}; it computes in float32 until `windlass quantize` makes less of them"
                )
            model.config.use_cache = False
            example = inputs.example(model, self.path, self._given)
            if sentences.is_one(self.path):
                notes.append(sentences.embed(model, self.path))
            written = capture(model, example, folder, str(self.path))
        return replace(written, notes=(*notes, *written.notes))

    def _model(self) -> tuple[Any, str]:
        """Return the model with all of its weights, in single precision, and what precision they are kept in."""
        lib = _transformers()
        said = inputs.said_in(self.path / "config.json")
        if said.get("auto_map") and not self._given.trust:
            raise UsageError(
                f"`{self.path}` brings Python code of its own that would run",
                found=", ".join(str(value) for value in said["auto_map"].values()),
                hint="read it, and add `--trust`",
            )
        names = said.get("architectures") or ["AutoModel"]
        kind = getattr(lib, names[0], None) or lib.AutoModel
        options = {"local_files_only": True, "trust_remote_code": self._given.trust, "dtype": torch().float32}
        try:
            model, info = kind.from_pretrained(str(self.path), output_loading_info=True, **options)
        except Exception as error:  # the library raises what it likes
            raise UsageError(f"`{self.path}`: transformers cannot build it: {reason(error)}") from error
        # A pooler that nobody asks for is often left out of the weights.
        if lacking := [name for name in sorted(info["missing_keys"]) if not name.startswith("pooler.")]:
            raise UsageError(
                f"`{self.path}` lacks weights of {kind.__name__}, which would be random",
                found=f"nothing for {', '.join(lacking[:4])}{', ...' if len(lacking) > 4 else ''}",
                hint="put `architectures` into config.json that the weights were saved from",
            )
        return model, str(said.get("dtype") or said.get("torch_dtype") or "float32")


def _described(folder: Path) -> str:
    said = inputs.said_in(folder / "config.json")
    return ", ".join(said.get("architectures") or [str(said.get("model_type", "of an unknown kind"))])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep transformers from drawing bars and giving advice."""
    lib = _transformers()
    level = lib.logging.get_verbosity()
    lib.logging.set_verbosity_error()
    lib.logging.disable_progress_bar()
    try:
        with torch_quietly():
            yield
    finally:
        lib.logging.set_verbosity(level)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise missing("transformers", "huggingface") from None
    return transformers
