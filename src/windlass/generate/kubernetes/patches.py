"""How one object differs from another, as a JSON patch (RFC 6902): what an overlay says of a base."""

from collections.abc import Iterator
from typing import Any

from windlass.generate.kubernetes.objects import Object


def difference(before: Any, after: Any, path: str = "") -> Iterator[Object]:
    """Yield the operations that turn one value into another."""
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_mappings(before, after, path)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from difference(one, other, f"{path}/{index}")
    elif before != after:
        yield {"op": "replace", "path": path, "value": after}


def _of_mappings(before: Object, after: Object, path: str) -> Iterator[Object]:
    for key in before:
        place = f"{path}/{_escaped(key)}"
        if key not in after:
            yield {"op": "remove", "path": place}
        else:
            yield from difference(before[key], after[key], place)
    for key, value in after.items():
        if key not in before:
            yield {"op": "add", "path": f"{path}/{_escaped(key)}", "value": value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
