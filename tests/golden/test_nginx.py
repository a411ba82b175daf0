"""The gateways of the golden projects, as nginx itself reads them."""

from pathlib import Path

import pytest

from support.certificates import Authority
from support.gateway import laid_out, programs, version
from support.golden import cases
from windlass.config.project import Project
from windlass.release import Release

KEYS = b"# who may ask\nkiosk 0123456789abcdef\n"


def secrets(project: Project) -> dict[str, bytes]:
    """Return something of the right kind for every secret of the gateway."""
    gateway, authority = project.gateway, Authority()
    found = {tenant.keys: KEYS for tenant in project.tenants.values() if tenant.keys}
    if gateway.auth:
        found |= {gateway.auth.keys or gateway.auth.basic: KEYS}
    if gateway.tls:
        signed = authority.sign("models.example.com")
        found |= {gateway.tls.certificate: signed.certificate, gateway.tls.key: signed.key}
        found |= {gateway.tls.client_ca: authority.certificate} if gateway.tls.client_ca else {}
    return found


def for_version(release: Release, program: Path) -> Release:
    """The release with a gateway for that nginx."""
    gateway = release.project.gateway.model_copy(update={"image": f"nginx:{version(program)}"})
    project = release.project.model_copy(update={"gateway": gateway})
    return Release(project, release.target_name, release.version, release.models, release.inputs)


@pytest.mark.parametrize("program", programs(), ids=version)
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_nginx_accepts_the_configuration(case, program, tmp_path):
    for target in case.targets:
        (tmp_path / target).mkdir()
        release = case.release(tmp_path / target, target)
        if release.project.gateway is None:
            continue
        release = for_version(release, program)

        with laid_out(release, program, secrets(release.project), {}) as gateway:
            status = gateway.start("-t").wait()

            assert status == 0, gateway.errors
            assert "[warn]" not in gateway.errors
