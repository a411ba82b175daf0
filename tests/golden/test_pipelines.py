"""Delivery pipelines of golden projects: as they were reviewed, and as schemas and linters have them."""

import dataclasses
import subprocess

import pytest

from support.golden import cases, compare
from windlass.errors import ConfigError
from windlass.generate.pipelines import PIPELINES

WITH_REGISTRY = [case for case in cases() if case.name in ("helpdesk", "autoscaled", "everything", "tenant")]
SCHEMAS = {"gitlab-ci": "vendor.gitlab-ci", "github-actions": "vendor.github-workflows"}


def delivered(case, folder):
    """A release on each target that something can be deployed to, from a registry, with its source known."""
    for target in case.targets:
        (folder / target).mkdir()
        release = case.release(folder / target, target)
        if release.target.kind != "local":
            named = {"registry": "registry.example.com/ml", "source": "https://git.example.com/ml/project.git"}
            wheel = release.project.image.windlass or "wheels/windlass-0.1.0-cp311-abi3-linux_x86_64.whl"
            named |= {} if release.project.image.index else {"windlass": wheel}
            image = release.project.image.model_copy(update=named)
            project = release.project.model_copy(update={"image": image})
            yield dataclasses.replace(release, project=project)


def written(case, folder):
    for release in delivered(case, folder):
        for name, files in PIPELINES.items():
            if name != "argocd" or release.target.kind == "kubernetes":
                yield f"{release.target_name}/{name}", files(release)


@pytest.mark.parametrize("case", WITH_REGISTRY, ids=lambda case: case.name)
def test_the_pipelines_are_those_that_were_reviewed(case, tmp_path, update_golden):
    for name, files in written(case, tmp_path):
        compare(files, case.folder / "pipelines" / name, update_golden)


@pytest.mark.parametrize("case", WITH_REGISTRY, ids=lambda case: case.name)
def test_the_pipelines_follow_their_published_schemas(case, tool):
    for name, schema in SCHEMAS.items():
        files = [path for path in sorted((case.folder / "pipelines").glob(f"*/{name}/**/*.yml")) if path.is_file()]
        assert files
        command = [tool("check-jsonschema"), "--builtin-schema", schema, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", WITH_REGISTRY, ids=lambda case: case.name)
def test_linters_find_nothing_in_workflows(case, tool):
    files = sorted((case.folder / "pipelines").glob("*/github-actions/**/*.yml"))
    for command in ([tool("actionlint")], [tool("zizmor"), "--offline", "--quiet"]):
        done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_pipeline_cannot_deploy_to_is_told(tmp_path):
    (case,) = (case for case in cases() if case.name == "helpdesk")
    release = next(iter(delivered(case, tmp_path)))
    without = release.project.model_copy(update={"image": release.project.image.model_copy(update={"registry": None})})
    with pytest.raises(ConfigError, match="names no registry"):
        PIPELINES["gitlab-ci"](dataclasses.replace(release, project=without))
    unknown = release.project.model_copy(update={"image": release.project.image.model_copy(update={"windlass": None})})
    with pytest.raises(ConfigError, match="another project of that name"):
        PIPELINES["gitlab-ci"](dataclasses.replace(release, project=unknown))
    with pytest.raises(ConfigError, match="Argo CD deploys to Kubernetes"):
        PIPELINES["argocd"](release)
