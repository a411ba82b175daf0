"""Loads every version of a repository as serving would, without serving it, and tells what is wrong."""

from windlass.backends import LoadContext, find
from windlass.config import Finding, ModelConfig, normalise, validate
from windlass.config.ensemble import is_ensemble
from windlass.config.model import backend_name
from windlass.errors import WindlassError
from windlass.repository import ModelEntry, Snapshot, select
from windlass.serving.ensembles import Ensembles, ranked


def check_repository(snapshot: Snapshot) -> list[Finding]:
    """Return the findings of the scan and those of loading."""
    found = list(snapshot.findings)
    ensembles = Ensembles()
    for entry in snapshot.models.values():
        ensembles.know(entry)
    for rank in ranked(snapshot.models.values()):
        for entry in rank:
            if entry.config is not None and not entry.errors:
                for version in select(entry.config, entry.versions):
                    found += _check_version(entry, version, ensembles)
    return found


def _check_version(entry: ModelEntry, version: int, ensembles: Ensembles) -> list[Finding]:
    written = entry.config_of(version) or ModelConfig()
    where = str(entry.versions[version])
    try:
        backend = find(backend_name(written, entry.name))
        opened = backend.open(LoadContext(entry.name, version, entry.path, entry.versions[version], written))
        config = normalise(opened.config, entry.name)
        findings = validate(config, str(entry.config_path_of(version)))
        if any(finding.severity == "error" for finding in findings):
            return findings
        if is_ensemble(config):
            config = ensembles.assemble(config)
        for instance in opened.instances(config):
            instance.close()
        ensembles.enter(config, version)
    except WindlassError as error:
        return [Finding(error.where or where, error.message, error.hint or "")]
    return findings
