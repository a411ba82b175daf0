"""A workflow of GitHub Actions (https://docs.github.com/actions/reference/workflow-syntax-for-github-actions)."""

from typing import Any

from windlass.config.project import ComposeTarget
from windlass.generate.pipelines import steps
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

# Actions by commit: a tag may be moved to something else.
_CHECKOUT = {"uses": "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"}
_PYTHON = {"uses": "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065"}
_KEEP = {"uses": "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"}
_HEAD = """Checks, builds, scans and deploys project {name} to target {target}.
Made by `windlass render github-actions --target {target}`.
Secrets to set for the environment {target}: REGISTRY_USER and REGISTRY_PASSWORD; {deploys}.
Actions are checkout 4.2.2, setup-python 5.6.0 and upload-artifact 4.6.2, by commit."""


def files(release: Release) -> Files:
    """Return `.github/workflows/deploy.yml`."""
    steps.possible(release)
    compose = isinstance(release.target, ComposeTarget)
    deploys = "DOCKER_HOST and SSH_PRIVATE_KEY" if compose else "KUBECONFIG_CONTENT"
    head = _HEAD.format(
        name=release.project.name, target=release.target_name, deploys=deploys + steps.variables(release)
    )
    checked = [
        {**_CHECKOUT, "with": {"persist-credentials": False}},
        {**_PYTHON, "with": {"python-version": "3.12"}},
        {"name": "Check the project", **_index(release), "run": _script(steps.check(release))},
    ]
    workflow: dict[str, Any] = {
        "name": f"Deploy {release.project.name} to {release.target_name}",
        "on": {"push": {"branches": ["main"]}, "pull_request": {}},
        # The least that is needed, for every job.
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"{release.target_name}-${{{{ github.ref }}}}", "cancel-in-progress": False},
        "jobs": {
            "check": {
                "name": "Check",
                "runs-on": "ubuntu-24.04",
                "timeout-minutes": 15,
                "steps": checked,
            },
            "deploy": {
                "name": f"Deploy to {release.target_name}",
                "if": "github.event_name == 'push'",
                "needs": "check",
                "runs-on": "ubuntu-24.04",
                "timeout-minutes": 60,
                "environment": release.target_name,
                "steps": [*checked, *_deployment(release, compose=compose)],
            },
        },
    }
    return {".github/workflows/deploy.yml": yaml_text(workflow, comment=head)}


def _deployment(release: Release, *, compose: bool) -> list[dict[str, Any]]:
    registry = (release.project.image.registry or "").split("/")[0]
    login = f'echo "$REGISTRY_PASSWORD" | docker login --username "$REGISTRY_USER" --password-stdin {registry}'
    user = {"REGISTRY_USER": _secret("REGISTRY_USER"), "REGISTRY_PASSWORD": _secret("REGISTRY_PASSWORD")}
    # Trivy as a container that reads the login of this one.
    mounts = '--volume "$HOME/.docker:/root/.docker:ro" --volume "$PWD:/work" --workdir /work'
    trivy = f"docker run --rm {mounts} {steps.TRIVY}"
    return [
        {"name": "Log in to the registry", "env": user, "run": login},
        {"name": "Build and push", "run": _script(steps.build("$GITHUB_SHA"))},
        {"name": "Scan and list what is inside", "run": _script(steps.scan(release, trivy))},
        {**_KEEP, "with": {"name": "sbom", "path": "sbom/", "if-no-files-found": "error"}},
        *(_through_ssh(release) if compose else _through_kubectl(release)),
    ]


def _through_ssh(release: Release) -> list[dict[str, Any]]:
    prepared = ['eval "$(ssh-agent -s)"', 'echo "$SSH_PRIVATE_KEY" | ssh-add -']
    env = {"DOCKER_HOST": _secret("DOCKER_HOST"), "SSH_PRIVATE_KEY": _secret("SSH_PRIVATE_KEY")}
    return [{"name": "Deploy", "env": env, "run": _script([*prepared, *steps.deploy(release)])}]


def _through_kubectl(release: Release) -> list[dict[str, Any]]:
    prepared = [
        "umask 077",
        'echo "$KUBECONFIG_CONTENT" > "$RUNNER_TEMP/kubeconfig"',
        'export KUBECONFIG="$RUNNER_TEMP/kubeconfig"',
    ]
    env = {"KUBECONFIG_CONTENT": _secret("KUBECONFIG_CONTENT")}
    return [{"name": "Deploy", "env": env, "run": _script([*prepared, *steps.deploy(release)])}]


def _index(release: Release) -> dict[str, Any]:
    return {"env": {steps.INDEX: _secret(steps.INDEX)}} if release.project.image.index else {}


def _secret(name: str) -> str:
    return f"${{{{ secrets.{name} }}}}"


def _script(lines: list[str]) -> str:
    return "\n".join(["set -euo pipefail", *lines]) + "\n"
