"""A pipeline of GitLab CI (https://docs.gitlab.com/ci/yaml/)."""

from typing import Any

from windlass.config.project import ComposeTarget
from windlass.generate.pipelines import steps
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

_HEAD = """Checks, builds, scans and deploys project {name} to target {target}.
Made by `windlass render gitlab-ci --target {target}`.
Variables to set under Settings, CI/CD, masked and protected: REGISTRY_USER and REGISTRY_PASSWORD; {deploys}."""


def files(release: Release) -> Files:
    """Return `.gitlab-ci.yml`."""
    steps.possible(release)
    deploy = steps.deploy(release)
    compose = isinstance(release.target, ComposeTarget)
    deploys = "DOCKER_HOST and SSH_PRIVATE_KEY" if compose else "KUBECONFIG, of type file"
    registry = (release.project.image.registry or "").split("/")[0]
    head = _HEAD.format(
        name=release.project.name, target=release.target_name, deploys=deploys + steps.variables(release)
    )
    jobs: dict[str, Any] = {
        "stages": ["check", "build", "scan", "deploy"],
        "workflow": {"rules": [{"if": "$CI_COMMIT_BRANCH"}]},
        "default": {"interruptible": True, "timeout": "1 hour"},
        "check": {
            "stage": "check",
            "image": steps.PYTHON,
            "variables": {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            "script": steps.check(release),
            "artifacts": {"paths": [f"{steps.FOLDER}/"], "expire_in": "1 week"},
        },
        "build": {
            "stage": "build",
            "image": steps.DOCKER,
            "services": [f"{steps.DOCKER}-dind"],
            "variables": {"DOCKER_TLS_CERTDIR": "/certs"},
            "rules": _ON_MAIN,
            "before_script": [
                f'echo "$REGISTRY_PASSWORD" | docker login --username "$REGISTRY_USER" --password-stdin {registry}'
            ],
            "script": steps.build("$CI_COMMIT_SHA"),
        },
        "scan": {
            "stage": "scan",
            "image": {"name": steps.TRIVY, "entrypoint": [""]},
            "variables": {"TRIVY_USERNAME": "$REGISTRY_USER", "TRIVY_PASSWORD": "$REGISTRY_PASSWORD"},
            "rules": _ON_MAIN,
            "script": steps.scan(release),
            "artifacts": {"paths": ["sbom/"], "expire_in": "1 year"},
        },
        "deploy": {
            "stage": "deploy",
            "image": f"{steps.DOCKER}-cli" if compose else steps.KUBECTL,
            "environment": {"name": release.target_name},
            # Two deployments at once would undo each other.
            "resource_group": release.target_name,
            "interruptible": False,
            "rules": _ON_MAIN,
            **({"before_script": _SSH} if compose else {}),
            "script": deploy,
        },
    }
    return {".gitlab-ci.yml": yaml_text(jobs, comment=head)}


_ON_MAIN = [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
_SSH = ["apk add --no-cache openssh-client", 'eval "$(ssh-agent -s)"', 'echo "$SSH_PRIVATE_KEY" | ssh-add -']
