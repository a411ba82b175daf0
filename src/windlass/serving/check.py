"""Loads every version of a repository as serving would, without serving it, and tells what is wrong."""

from windlass.backends import LoadContext, find
from windlass.config import Finding, ModelConfig, normalise, validate
from windlass.errors import WindlassError
from windlass.repository import ModelEntry, Snapshot, select


def check_repository(snapshot: Snapshot) -> list[Finding]:
    """Return the findings of the scan and those of loading."""
    found = list(snapshot.findings)
    for entry in snapshot.models.values():
        if entry.config is not None and not entry.errors:
            for version in select(entry.config, entry.versions):
                found += _check_version(entry, version)
    return found


def _check_version(entry: ModelEntry, version: int) -> list[Finding]:
    written = entry.config or ModelConfig()
    where = str(entry.versions[version])
    try:
        backend = find(normalise(written, entry.name).backend)
        opened = backend.open(LoadContext(entry.name, version, entry.path, entry.versions[version], written))
        config = normalise(opened.config, entry.name)
        findings = validate(config, str(entry.config_path))
        if not any(finding.severity == "error" for finding in findings):
            for instance in opened.instances(config):
                instance.close()
    except WindlassError as error:
        return [Finding(error.where or where, error.message, error.hint or "")]
    return findings
