"""Golden cases: a project file, a list of its models, and the files that were reviewed once and are compared since.

`pytest tests/golden --update-golden` writes what is generated now; the diff is what is reviewed.
"""

from dataclasses import dataclass
from pathlib import Path

from windlass.config.project import Source, read_project
from windlass.config.yaml_text import parse
from windlass.generate import Files
from windlass.release import Release, read_release

CASES = Path(__file__).parents[1] / "golden"
# What digests of images are made with, whatever version is tested.
VERSION = "0.1.0"

MODEL = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", tensor)]) for tensor in tensors]
"""
FILES = {"python": "model.py", "onnxruntime": "model.onnx", "openvino": "model.xml", "pytorch": "model.pt"}
CONFIG = """\
backend: "{backend}"
max_batch_size: 8
input {{ name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] }}
output {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] }}
"""


@dataclass(frozen=True)
class Case:
    """A folder with `windlass.yaml`, `models.yaml` (a backend for each model) and `files/`, which lie beside them.

    `expected/` has a folder for each target, or for a generator that asks for none.
    """

    name: str

    @property
    def folder(self) -> Path:
        return CASES / self.name

    @property
    def targets(self) -> list[str]:
        """The names of the targets in the project file."""
        return list(parse((self.folder / "windlass.yaml").read_text(), self.name).value["targets"])

    def project(self, folder: Path) -> Path:
        """Lay the project out in a folder, with tiny models and the files that it names; returns its file."""
        file = folder / "windlass.yaml"
        file.write_text((self.folder / "windlass.yaml").read_text())
        listed = self.folder / "models.yaml"
        models = parse(listed.read_text(), str(listed)).value if listed.exists() else {}
        for name, backend in models.items():
            version = folder / "models" / name / "1"
            version.mkdir(parents=True)
            (version.parent / "config.pbtxt").write_text(CONFIG.format(backend=backend))
            (version / {"python": "model.py", "onnxruntime": "model.onnx", "pytorch": "model.pt"}[backend]).write_text(
                MODEL
            )
        for source in sorted((self.folder / "files").rglob("*") if (self.folder / "files").exists() else ()):
            if source.is_file():
                place = folder / source.relative_to(self.folder / "files")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(source.read_bytes())
        return file

    def release(self, folder: Path, target: str) -> Release:
        """Return the release of the project on a target, laid out in an empty folder."""
        file = self.project(folder)
        project, siblings = read_project(file, target), Source.read(file).siblings(target)
        paths = {"root": "../..", "place": f".windlass/{target}"}
        release, findings = read_release(
            project, target, folder, VERSION, siblings=siblings, revision="0" * 40, **paths
        )
        assert not [finding for finding in findings if finding.severity == "error"], findings
        return release


def cases() -> list[Case]:
    """Return every golden case."""
    return [Case(folder.name) for folder in sorted(CASES.iterdir()) if (folder / "windlass.yaml").exists()]


def compare(files: Files, expected: Path, update: bool) -> None:
    """Hold generated files against a folder; with ``update`` make the folder hold them."""
    known = {str(path.relative_to(expected)): path for path in sorted(expected.rglob("*")) if path.is_file()}
    if update:
        for name in known.keys() - files.keys():
            known[name].unlink()
        for name, text in files.items():
            place = expected / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return
    assert sorted(files) == sorted(known), "other files than before: `pytest tests/golden --update-golden` shows them"
    for name, text in files.items():
        assert text == known[name].read_text(), f"{name}: `pytest tests/golden --update-golden` shows the difference"
