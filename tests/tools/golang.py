"""Tools that come as Go modules: compiled here, since nobody packages them."""

import json
import os
import shutil
from pathlib import Path

from tools.place import FOLDER, Missing, link, made, run

MODULES = [
    "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
    "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    "helm.sh/helm/v3/cmd/helm@v3.22.0",
]

# The program in this folder is Kubernetes' control plane, of the version in its go.mod.
CONTROL_PLANE = Path(__file__).with_name("control_plane")
PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
KUBERNETES = "1.33.4"

# What a cluster is often extended by: modules, and where in them the definitions lie.
DEFINITIONS = {
    "sigs.k8s.io/gateway-api@v1.2.1": ["config/crd/standard/gateway*.yaml"],
    "github.com/prometheus-operator/prometheus-operator@v0.81.0": [
        f"example/prometheus-operator-crd/*_{kind}.yaml"
        for kind in ("podmonitors", "prometheusrules", "servicemonitors")
    ],
    "istio.io/api@v1.25.0": ["kubernetes/customresourcedefinitions.gen.yaml"],
}


def environment(folder: Path) -> dict[str, str]:
    """Return what the compiler is told: it keeps what it needs in a folder that goes when it is done."""
    scratch = folder / "scratch"
    return {
        **os.environ,
        "GOBIN": str(folder / "bin"),
        "GOPATH": str(scratch),
        "GOCACHE": str(scratch / "cache"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "CGO_ENABLED": "0",
    }


def build(folder: Path) -> None:
    """Compile the modules."""
    for module in MODULES:
        run("go", "install", "-ldflags", "-s -w", module, env=environment(folder))
    shutil.rmtree(folder / "scratch")


def build_control_plane(folder: Path) -> None:
    """Compile Kubernetes' control plane, and fetch what clusters are extended by."""
    env = environment(folder)
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    flags = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
    program = folder / "bin" / PARTS[0]
    run(
        "go",
        "build",
        "-ldflags",
        " ".join(["-s -w", *flags]),
        "-o",
        program,
        ".",
        cwd=CONTROL_PLANE,
        env=env,
        limit_s=3000,
    )
    for name in PARTS[1:]:
        (folder / "bin" / name).symlink_to(PARTS[0])
    definitions = folder / "definitions"
    definitions.mkdir()
    for module, patterns in DEFINITIONS.items():
        source = Path(json.loads(run("go", "mod", "download", "-json", module, cwd=folder, env=env))["Dir"])
        for file in (file for pattern in patterns for file in source.glob(pattern)):
            shutil.copy(file, definitions)
    shutil.rmtree(folder / "scratch")


def install() -> None:
    """Compile what is not there."""
    needs_go()
    folder = made("go", " ".join(MODULES), build)
    link(sorted((folder / "bin").iterdir()))


def install_control_plane() -> None:
    """Compile the control plane unless it is there."""
    needs_go()
    texts = [path.read_text() for path in sorted(CONTROL_PLANE.iterdir())]
    folder = made("control-plane", f"{KUBERNETES} {DEFINITIONS} {''.join(texts)}", build_control_plane)
    link([folder / "bin" / name for name in PARTS])


def needs_go() -> None:
    """Say so where there is no compiler."""
    if not shutil.which("go"):
        raise Missing("no `go`: install Go 1.24 or newer")


def definitions() -> Path:
    """Return the folder of the definitions that extend a cluster."""
    return FOLDER / "control-plane" / "definitions"
