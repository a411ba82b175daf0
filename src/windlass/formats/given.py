"""What a person tells of a model beside its path, because no file tells it."""

import difflib
import re
from dataclasses import dataclass

from windlass.backends.signature import TensorSignature
from windlass.config.datatypes import ALL
from windlass.errors import UsageError

_TENSOR = re.compile(r"(?P<name>[^:\[\]]+):(?P<type>\w+)(?:\[(?P<shape>[^\]]*)\])?$")
_TYPES = {spelling.upper(): one.config for one in ALL for spelling in (one.wire, one.config, one.numpy)}
_TYPES["STRING"] = "TYPE_STRING"


@dataclass(frozen=True, slots=True)
class Given:
    """Inputs with their whole shapes, the code that builds the module of some weights, and whether to run pickles."""

    inputs: tuple[TensorSignature, ...] = ()
    architecture: str = ""
    trust: bool = False


NOTHING = Given()


def parse_input(text: str) -> TensorSignature:
    """Read ``NAME:FP32[-1,3,224,224]``; letters stand for open sizes as ``-1`` does. Raises ``UsageError``."""
    found = _TENSOR.match(text.strip())
    if not found:
        raise UsageError(
            f"input `{text}`: expected NAME:TYPE[SHAPE]", hint="say for example `--input image:FP32[-1,3,224,224]`"
        )
    data_type = _TYPES.get(found["type"].upper())
    if data_type is None:
        names = [one.wire for one in ALL]
        close = difflib.get_close_matches(found["type"].upper(), names, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"the types are {', '.join(names)}"
        raise UsageError(f"input `{text}`: there is no data type `{found['type']}`", hint=hint)
    sizes = [size.strip() for size in (found["shape"] or "").split(",") if size.strip()]
    return TensorSignature(found["name"], data_type, tuple(_size(size, text) for size in sizes))


def _size(size: str, text: str) -> int:
    if re.fullmatch(r"-1|\?|[A-Za-z_]\w*", size):
        return -1
    if size.isdecimal() and int(size) > 0:
        return int(size)
    raise UsageError(f"input `{text}`: `{size}` is no size", hint="a size is a number from 1 on, or -1 for any")
