"""The lock of an image: every package with its version and the digest of the file that is installed, as pip reads it.

Made of the report of a resolution that ran inside the image's own base (``pip install --dry-run --report``): the same
Python, the same libraries, the same index as the installation.
"""

import json
import re
from typing import Any

from windlass.errors import TargetError
from windlass.generate.images import needs
from windlass.release import Release

_ANSWERS = re.compile(r"^# answers: ([0-9a-f]+)$", re.MULTILINE)


def outdated(release: Release, name: str, text: str) -> bool:
    """Tell whether a lock answers another question than the one that is asked now."""
    found = _ANSWERS.search(text)
    return found is None or found[1] != needs.fingerprint(release, name)


def text(release: Release, name: str, report: str) -> str:
    """Return the lock that a report of pip makes. Raises ``TargetError`` for a package that has no digest."""
    read = json.loads(report)
    _refuse_namesakes(read["install"])
    entries = [_entry(item) for item in read["install"] if not _ours(item)]
    platform = f"{read['environment']['sys_platform']} {read['environment']['platform_machine']}"
    head = [
        f"# The Python packages of image `{name}`, for {platform}: exact versions, and digests that pip checks.",
        f"# Written by `windlass build --lock {name}`; keep it in version control.",
        f"# answers: {needs.fingerprint(release, name)}",
        *(line for line in needs.asked(release, name) if line.startswith("--extra-index-url")),
    ]
    return "\n".join([*head, *sorted(entries, key=str.lower)]) + "\n"


def _refuse_namesakes(items: list[dict[str, Any]]) -> None:
    """Raise where an index has somebody else's package of our name."""
    for item in items:
        found = item["metadata"]
        ours = {"onnx", "openvino", "torch"} <= set(found.get("provides_extra", ()))
        if found["name"].lower() == "windlass" and not ours:
            raise TargetError(
                "the package index has another project under the name `windlass`",
                found=f"`{found.get('summary', '')}`, {item['download_info']['url']}",
                hint="name a wheel of this one with `image.windlass`, or an index that has it with `image.index`",
            )


def _ours(item: dict[str, Any]) -> bool:
    """Tell whether a package is the wheel that the project names: it is installed by itself."""
    return bool(item["download_info"]["url"].startswith(f"file://{needs.WHEELS}/"))


def _entry(item: dict[str, Any]) -> str:
    name, version, source = item["metadata"]["name"], item["metadata"]["version"], item["download_info"]
    digest = source.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest is None:
        raise TargetError(
            f"package `{name}` has no digest to be checked by",
            found=source["url"],
            hint="name a release in an index, or the URL of an archive, instead of a source repository or folder",
        )
    wanted = f"{name} @ {source['url']}" if item.get("is_direct") else f"{name}=={version}"
    return f"{wanted} \\\n    --hash=sha256:{digest}"
