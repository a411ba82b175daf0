"""A bill of materials as CycloneDX 1.6 (ECMA-424): which packages an image holds."""

import json
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package as its own world names it: ``pypi`` or ``deb``."""

    kind: str
    name: str
    version: str

    @property
    def purl(self) -> str:
        """Its package URL (https://github.com/package-url/purl-spec)."""
        space = "debian/" if self.kind == "deb" else ""
        name = self.name.lower().replace("_", "-") if self.kind == "pypi" else self.name
        return f"pkg:{self.kind}/{space}{quote(name)}@{quote(self.version, safe='+.:~-')}"


def sbom(reference: str, digest: str, packages: list[Package]) -> str:
    """Return the document. Same image, same bytes: it has no date and no number of its own."""
    image = {"type": "container", "bom-ref": reference, "name": reference, "version": digest}
    components = [
        {"type": "library", "bom-ref": one.purl, "name": one.name, "version": one.version, "purl": one.purl}
        for one in sorted(set(packages))
    ]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image},
        "components": components,
    }
    return json.dumps(document, indent=2) + "\n"
