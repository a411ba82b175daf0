"""Scans folders of models into a value: what is there at one moment, with every fault as a finding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from windlass.config import Finding, ModelConfig, parse_text
from windlass.config.ensemble import is_ensemble
from windlass.config.model import backend_name
from windlass.errors import ConfigError, RepositoryError
from windlass.repository.layout import CONFIG_FILE, config_file, guess_backend, version_number


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model on disk. ``config`` is what the user wrote, with the name and the backend filled in.

    ``chosen_config`` is the file that was read, where it is not the usual one. ``own_configs`` are those of versions
    that do not go by the model's. ``folder`` keeps alive what ``path`` is in, where that is not the repository.
    """

    name: str
    path: Path
    config: ModelConfig | None
    versions: dict[int, Path] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    chosen_config: Path | None = None
    own_configs: dict[int, ModelConfig] = field(default_factory=dict)
    folder: object = None

    @property
    def config_path(self) -> Path:
        """Where its configuration is, or would be."""
        return self.chosen_config or self.path / CONFIG_FILE

    def config_of(self, version: int) -> ModelConfig | None:
        """Return what a version goes by: its own configuration, or else the model's."""
        return self.own_configs.get(version, self.config)

    def config_path_of(self, version: int) -> Path:
        """Return where that configuration is, or would be."""
        return self.versions[version] / CONFIG_FILE if version in self.own_configs else self.config_path

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends that its versions need, ascending; an ensemble needs none."""
        configs = (self.config_of(version) or ModelConfig() for version in self.versions)
        return tuple(sorted({backend_name(config, self.name) for config in configs} - {"", "ensemble"}))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep it from being served."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


@dataclass(frozen=True, slots=True)
class Reading:
    """How configurations are read: ``name`` chooses ``configs/<name>.pbtxt`` of the models that have it.

    With ``complete`` what is left out is filled in from the files of a model; else a model needs a configuration.
    """

    name: str = ""
    complete: bool = True


USUAL = Reading()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the repositories held when they were looked at, by name."""

    models: dict[str, ModelEntry]

    @property
    def findings(self) -> list[Finding]:
        """Everything wrong in all models."""
        return [finding for entry in self.models.values() for finding in entry.findings]


def scan(repositories: Sequence[Path], reading: Reading = USUAL) -> Snapshot:
    """Look at every model of every repository. A fault of one model is a finding on it and stops no other.

    Raises ``RepositoryError`` when a repository is no folder.
    """
    models: dict[str, ModelEntry] = {}
    for repository in repositories:
        for path in _model_dirs(repository):
            entry = scan_model(path, reading)
            models[entry.name] = _duplicate(models[entry.name], entry) if entry.name in models else entry
    return Snapshot(dict(sorted(models.items())))


def _model_dirs(repository: Path) -> list[Path]:
    if not repository.is_dir():
        found = "a file" if repository.exists() else "nothing"
        raise RepositoryError(
            f"`{repository}` is no model repository",
            found=found,
            hint="name a folder with one folder per model: `models/<name>/1/model.onnx`",
        )
    return sorted(path for path in repository.iterdir() if path.is_dir() and not path.name.startswith("."))


def scan_model(path: Path, reading: Reading = USUAL) -> ModelEntry:
    """Look at one model's folder."""
    file = config_file(path, reading.name)
    versions, findings = _versions(path)
    config, fault = _read_config(file)
    if not reading.complete and not file.exists():
        fault = _no_config(file)
    if fault:
        return ModelEntry(path.name, path, None, versions, (fault, *findings), file)
    if config.name and config.name != path.name:
        message = (
            f"unexpected directory name '{path.name}' for model '{config.name}', directory name must equal model name"
        )
        findings.append(Finding(str(file), message, f"rename the folder to `{config.name}`, or remove `name`"))
    config.name = path.name
    if not config.backend and not config.platform:
        guessed = guess_backend(path.name, _newest(versions))
        if guessed:
            config.backend = guessed
        elif versions:
            findings.append(_no_backend(path))
    own, faults = _own_configs(path, versions)
    findings += [*_labels(path, file, config), *faults]
    return ModelEntry(path.name, path, config, versions, tuple(findings), file, own)


def _newest(versions: dict[int, Path]) -> Path | None:
    """Return the newest version of those that go by the model's configuration."""
    common = [number for number, folder in versions.items() if not (folder / CONFIG_FILE).is_file()]
    return versions[max(common or versions)] if versions else None


def _own_configs(path: Path, versions: dict[int, Path]) -> tuple[dict[int, ModelConfig], list[Finding]]:
    read = {
        number: _own_config(path, folder) for number, folder in versions.items() if (folder / CONFIG_FILE).is_file()
    }
    findings = [finding for _, faults in read.values() for finding in faults]
    return {number: config for number, (config, _) in read.items()}, findings


def _own_config(path: Path, folder: Path) -> tuple[ModelConfig, list[Finding]]:
    """Read what one version goes by. Which versions are served, and what an ensemble is, is for the model to say."""
    file = folder / CONFIG_FILE
    config, fault = _read_config(file)
    findings = [fault] if fault else []
    if config.name not in ("", path.name):
        message = f"unexpected name '{config.name}' in a version of model '{path.name}'"
        findings.append(Finding(str(file), message, f"write `{path.name}`, or remove `name`"))
    misplaced = {"version_policy": config.HasField("version_policy"), "ensemble_scheduling": is_ensemble(config)}
    for member in (member for member, there in misplaced.items() if there):
        message = f"`{member}` has no meaning for one version"
        findings.append(Finding(str(file), message, f"write it into `{path / CONFIG_FILE}`"))
    config.name = path.name
    if not config.backend and not config.platform:
        config.backend = guess_backend(path.name, folder) or ""
    return config, [*findings, *_labels(path, file, config)]


def _read_config(file: Path) -> tuple[ModelConfig, Finding | None]:
    if not file.exists():
        return ModelConfig(), None
    try:
        return parse_text(file.read_text(encoding="utf-8"), str(file)), None
    except ConfigError as error:
        message = error.message.removeprefix(f"{error.where}: ")
        return ModelConfig(), Finding(error.where or str(file), message, error.hint or "")
    except (OSError, UnicodeDecodeError) as error:
        return ModelConfig(), Finding(str(file), f"failed to read text proto: {error}")


def _versions(path: Path) -> tuple[dict[int, Path], list[Finding]]:
    versions: dict[int, Path] = {}
    findings = []
    for child in sorted(path.iterdir()):
        number = version_number(child.name) if child.is_dir() else None
        if number is not None:
            versions.setdefault(number, child)
        elif child.is_dir() and child.name[:1] == "0":
            message = f"version directory '{child.name}' has leading zeros and is ignored"
            findings.append(Finding(str(child), message, f"rename it to `{child.name.lstrip('0')}`", "warning"))
    if not versions:
        hint = f"put the model file into `{path / '1'}`"
        findings.append(Finding(str(path), f"model '{path.name}' has no version directory", hint))
    return versions, findings


def _no_config(file: Path) -> Finding:
    message = f"model '{file.parent.name}' has no configuration, and completing configurations is disabled"
    return Finding(str(file), message, "write one, or start without `--disable-auto-complete-config`")


def _no_backend(path: Path) -> Finding:
    message = (
        f"Invalid model name: Could not determine backend for model '{path.name}' with no backend in model "
        "configuration. Expected model name of the form 'model.<backend_name>'."
    )
    hint = "add `model.onnx`, `model.xml`, `model.pt`, `model.pt2` or `model.py`, or name a `backend` in config.pbtxt"
    return Finding(str(path), message, hint)


def _labels(path: Path, file: Path, config: ModelConfig) -> list[Finding]:
    return [
        Finding(
            str(file),
            f"output '{output.name}': label file `{output.label_filename}` does not exist",
        )
        for output in config.output
        if output.label_filename and not (path / output.label_filename).is_file()
    ]


def _duplicate(first: ModelEntry, second: ModelEntry) -> ModelEntry:
    finding = Finding(
        str(second.path),
        "model appears in two or more repositories",
        f"the other is `{first.path}`: remove or rename one",
    )
    return ModelEntry(first.name, first.path, None, {}, (finding,))
