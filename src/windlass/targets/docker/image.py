"""Images are built, measured, described, scanned and pushed, through Docker's BuildKit."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import TargetError
from windlass.generate import images
from windlass.generate.images import lock as locks
from windlass.generate.sbom import Package, sbom
from windlass.release import Release, lock
from windlass.targets import shell
from windlass.targets.docker.buildkit import Heard
from windlass.targets.docker.engine import Docker, reach_builder
from windlass.targets.revision import committed
from windlass.targets.shell import ProgramError
from windlass.targets.target import Progress

# Trivy ends with it when it has found something, and with 1 when it cannot look.
_FOUND = 10


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image: its size, and the instruction that made it."""

    size_bytes: int
    made_by: str


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was built; ``layers`` begin with the base's."""

    name: str
    reference: str
    digest: str
    size_bytes: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the images of a release. ``folder`` is that of the project file, ``place`` where files were rendered."""

    folder: Path
    place: Path
    docker: Docker

    def pin(self, release: Release, name: str, progress: Progress) -> None:
        """Pin the packages of an image, with digests, into its lock: the answer of a resolution in its own base."""
        with tempfile.TemporaryDirectory() as folder:
            output = ["--target", "report", "--output", f"type=local,dest={folder}"]
            self._build(release, name, output, progress, f"{name}: pinning packages")
            text = locks.text(release, name, (Path(folder) / "report.json").read_text())
        file = self.folder / lock(name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def pinned(self, release: Release, name: str) -> bool:
        """Tell whether an image's lock is there and answers what is asked now; an image without packages needs none."""
        if release.service(name).runtime != "windlass":
            return True
        file = self.folder / lock(name)
        return file.is_file() and not locks.outdated(release, name, file.read_text())

    def build(self, release: Release, name: str, progress: Progress) -> Built:
        """Build an image."""
        reference = release.image(name)
        self._build(release, name, ["--tag", reference, "--load"], progress, f"{name}: building {reference}")
        return self.measure(name, reference)

    def push(self, built: Built, progress: Progress) -> None:
        """Push an image to its registry."""
        if "/" not in built.reference:
            hint = "name one with `image.registry`: `registry.example.com/team`"
            raise TargetError(f"there is no registry to push `{built.reference}` to", hint=hint)
        progress(f"{built.name}: pushing {built.reference}")
        self.docker.run("push", "--quiet", built.reference)

    def measure(self, name: str, reference: str) -> Built:
        """Return what an image is made of."""
        history = self.docker.run("history", "--no-trunc", "--human=false", "--format", "{{json .}}", reference)
        rows = [json.loads(line) for line in reversed(history.splitlines())]
        layers = tuple(Layer(int(row["Size"]), _instruction(row["CreatedBy"])) for row in rows if int(row["Size"]))
        (told,) = json.loads(self.docker.run("image", "inspect", reference))
        return Built(name, reference, told["Id"], int(told["Size"]), layers)

    def describe(self, built: Built) -> str:
        """Return the bill of materials of an image, as CycloneDX: what its own Python and Debian say is in it."""
        run = ["run", "--rm", "--network=none", "--entrypoint", "python", built.reference, "-c", _PACKAGES]
        found = [Package(*row) for row in json.loads(self.docker.run(*run))]
        return sbom(built.reference, built.digest, found)

    def scan(self, built: Built, severity: str, progress: Progress) -> None:
        """Look for known weaknesses that have a remedy. Raises ``TargetError`` that lists them."""
        levels = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
        wanted = ",".join(levels[levels.index(severity) :])
        progress(f"{built.name}: scanning for weaknesses ({wanted})")
        options = ["--quiet", "--ignore-unfixed", f"--exit-code={_FOUND}", f"--severity={wanted}"]
        try:
            shell.run(["trivy", "image", *options, built.reference])
        except ProgramError as error:
            if error.status != _FOUND:
                raise
            hint = "build again for newer packages (`windlass build --lock`), or raise `image.scan_severity`"
            raise TargetError(f"`{built.reference}` has known weaknesses", found=error.said, hint=hint) from error

    def _build(self, release: Release, name: str, more: list[str], progress: Progress, what: str) -> None:
        reach_builder(self.docker)
        progress(what)
        file = str(self.place / images.dockerfile(name))
        # The image's own time is that of its source: made again, it is the same.
        arguments = {"REVISION": release.revision, "SOURCE_DATE_EPOCH": str(committed(self.folder))}
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        command = ["buildx", "build", "--progress=plain", f"--file={file}", *given, *self._secret(release), *more]
        heard = Heard(name)
        try:
            with self.docker.lines(*command, str(self.folder)) as said:
                for step in heard.steps(said):
                    progress(f"{name}: {step}")
        except ProgramError as error:
            raise heard.explained(error) from error

    def _secret(self, release: Release) -> list[str]:
        """Return where BuildKit finds the secret of the package index; nobody else reads it."""
        name = release.project.image.index
        if name is None:
            return []
        secret = release.project.secrets[name]
        if secret.environment is None and secret.file is None:
            hint = f"say `file` or `environment` under `secrets.{name}`: this machine reads no other"
            raise TargetError(f"the secret `{name}` cannot be had on this machine", hint=hint)
        place = f"src={self.folder / secret.file}" if secret.file else f"env={secret.environment}"
        return [f"--secret=id={name},{place}"]


def _instruction(created_by: str) -> str:
    """Return an instruction as the Dockerfile has it."""
    text = re.sub(r"^(RUN )?/bin/sh -c (#\(nop\) +)?", r"\1", created_by).removesuffix(" # buildkit")
    return " ".join(re.sub(r"--(mount|link|from|chmod|chown)\S* ?", "", text).split())


# Asks the image's own Python and Debian. Rows of kind, name and version.
_PACKAGES = """
import importlib.metadata as m, json, pathlib, re
rows = [["pypi", d.metadata["Name"], d.version] for d in m.distributions()]
status = pathlib.Path("/var/lib/dpkg/status")
for block in status.read_text().split("\\n\\n") if status.exists() else ():
    f = dict(re.findall(r"^(Package|Version|Status): (.*)$", block, re.M))
    if f.get("Status", "").endswith(" installed"):
        rows.append(["deb", f["Package"], f["Version"]])
print(json.dumps(rows))
"""
