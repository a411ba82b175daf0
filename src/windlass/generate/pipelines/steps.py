"""What every pipeline does, as lines of a shell; and the tools it does it with, pinned."""

from windlass.config.project import ComposeTarget, KubernetesTarget
from windlass.errors import ConfigError
from windlass.generate import images
from windlass.release import Release

PYTHON = "python:3.12-slim-bookworm"
DOCKER = "docker:28.3.3"
TRIVY = "aquasec/trivy:0.66.0"
KUBECTL = "alpine/k8s:1.33.4"
# Where a pipeline writes what it deploys.
FOLDER = "deploy"
# The variable with the address of the index that windlass is installed from.
INDEX = "WINDLASS_INDEX"
# A line for each image: its name, and its reference.
IMAGES = f"{FOLDER}/images.txt"


def check(release: Release) -> list[str]:
    """Check the project, and write what the later steps work with."""
    target = release.target_name
    named = release.project.image.windlass or release.version
    wheel = named.endswith(".whl")
    return [
        f"pip install --no-cache-dir {named}" if wheel else f'pip install --index-url "${INDEX}" windlass=={named}',
        "windlass check --no-load",
        f"windlass render {target} --output {FOLDER} --force",
        f"windlass build --target {target} --dry-run > {IMAGES}",
    ]


def build(revision: str) -> list[str]:
    """Build every image and push it, with a bill of materials and its provenance attached."""
    return [
        "docker buildx create --use",
        _each(
            f'docker buildx build --file "{FOLDER}/images/$name/Dockerfile" --build-arg "REVISION={revision}" \\\n'
            '    --sbom=true --provenance=mode=max --tag "$reference" --push .'
        ),
    ]


def scan(release: Release, trivy: str = "trivy") -> list[str]:
    """Look for known weaknesses, which end the pipeline, and write down what is inside."""
    levels = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    severity = ",".join(levels[levels.index(release.project.image.scan_severity) :])
    return [
        "mkdir -p sbom",
        _each(f'{trivy} image --exit-code 1 --ignore-unfixed --severity {severity} "$reference"'),
        _each(f'{trivy} image --format cyclonedx --output "sbom/$name.cdx.json" "$reference"'),
    ]


def deploy(release: Release) -> list[str]:
    """Deploy to the target, and wait until it is ready."""
    target = release.target
    if isinstance(target, KubernetesTarget):
        namespace = f"--namespace {target.namespace}"
        apply = {
            "kustomize": f"kubectl apply --server-side --kustomize {FOLDER}/overlays/{release.target_name}",
            "helm": f"helm upgrade --install {release.project.name} {FOLDER} {namespace} --create-namespace --wait",
            "plain": f"kubectl apply --server-side --recursive --filename {FOLDER}",
        }
        part = f"--selector app.kubernetes.io/part-of={release.project.name}"
        return [apply[target.layout], f"kubectl {namespace} rollout status --timeout=15m {part} deployment,statefulset"]
    if isinstance(target, ComposeTarget):
        compose = f"docker compose --file {FOLDER}/compose.yaml"
        # What was pushed is fetched, so that nothing but small images of configuration is built there.
        return [f"{compose} pull {' '.join(images.names(release))}", f"{compose} up --detach --wait --remove-orphans"]
    raise ConfigError(
        f"target `{release.target_name}` is of kind `local`, which nothing is deployed to",
        hint="name another with `--target`, of kind `compose` or `kubernetes`",
    )


def possible(release: Release) -> None:
    """Raise ``ConfigError`` where images would have nowhere to go, or windlass nowhere to come from."""
    if not release.project.image.registry:
        raise ConfigError(
            "a pipeline pushes images, and the project names no registry",
            hint="say `image: {registry: registry.example.com/team}`",
        )
    if not (release.project.image.windlass or "").endswith(".whl") and release.project.image.index is None:
        raise ConfigError(
            "a pipeline installs windlass, and the public package index has another project of that name",
            hint="name a wheel with `image.windlass`, or an index that has it with `image.index`",
        )


def variables(release: Release) -> str:
    """Name the variables that installing windlass needs."""
    return f"; {INDEX}, the index that has windlass" if release.project.image.index else ""


def _each(command: str) -> str:
    """Do something for every image; the first failure ends the step."""
    return f"while read -r name reference; do\n  {command} </dev/null || exit 1\ndone < {IMAGES}"
