"""Tools that come as Go modules: compiled here, since nobody packages them."""

import os
import shutil
from pathlib import Path

from tools.place import Missing, link, made, run

MODULES = [
    "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
    "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    "helm.sh/helm/v3/cmd/helm@v3.22.0",
]


def build(folder: Path) -> None:
    """Compile the modules; what the compiler keeps for later, a gigabyte, goes."""
    scratch = folder / "scratch"
    env = {
        **os.environ,
        "GOBIN": str(folder / "bin"),
        "GOPATH": str(scratch),
        "GOCACHE": str(scratch / "cache"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "CGO_ENABLED": "0",
    }
    for module in MODULES:
        run("go", "install", "-ldflags", "-s -w", module, env=env)
    shutil.rmtree(scratch)


def install() -> None:
    """Compile what is not there."""
    if not shutil.which("go"):
        raise Missing("no `go`: install Go 1.24 or newer")
    folder = made("go", " ".join(MODULES), build)
    link(sorted((folder / "bin").iterdir()))
