"""The differences from the real server that are meant, each with the reason a user would accept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Meant:
    """Why answers differ, and what has to hold all the same, of Triton's answer and ours."""

    reason: str
    holds: Callable[[Any, Any], bool]


def _text(answer: Any) -> str:
    return str(answer[1]["error"]) if isinstance(answer[1], dict) else str(answer[1])


def is_fault_of_json(theirs: Any, ours: Any) -> bool:
    """Tell whether the server's fault has become the client's: 400 with the same text, where Triton answers 500."""
    return (theirs[0], ours[0]) == (500, 400) and _text(theirs) == _text(ours)


def _refused(theirs: Any, ours: Any) -> bool:
    return ours[0] in (400, 404, "INVALID_ARGUMENT", "NOT_FOUND")


MEANT: dict[str, Meant] = {
    r"REST malformed: empty|REST header length no number|REST encoding lies": Meant(
        "the installed server takes a body it cannot read for the bytes of a tensor, and answers nonsense with 200",
        _refused,
    ),
    r"REST too few elements": Meant("the newer server has a text of its own for too few elements", _refused),
    r"REST malformed: too deep": Meant("the newer server bounds the depth of JSON, and says so", _refused),
    r"(REST GET /v2/models/nope|REST GET /v2/models/fp32/versions/9|gRPC unknown model)[/ ]ready": Meant(
        "the newer server answers NOT_FOUND for what is not known", _refused
    ),
    r"REST too many inputs": Meant(
        "inputs are listed as they came, and an empty list is `[]`; Triton's order is by chance, and it writes `]`",
        _refused,
    ),
    r"REST different batches": Meant("the first input that disagrees is named; Triton's order is by chance", _refused),
    r'REST index index {"ready":7}': Meant("the newer server says what was expected", _refused),
    r"REST (unloaded|with files|never known): GET (/versions/1)?/ready|REST version '[02]' ready|"
    r"gRPC (unloaded|with files): ready 1": Meant(
        "the newer server tells apart what is not known (404), not ready (400), and a version that is not (503)",
        lambda theirs, ours: theirs[0] in (400, "OK") and ours[0] in (404, 503, "UNAVAILABLE"),
    ),
    r"(REST|gRPC) load: (configuration is (no JSON|empty|an array)|configuration of .*|another name|no version|"
    r"files without a configuration|a file (above|elsewhere)|no name|spaces around|a path|a way up)": Meant(
        "the newer server says what is wrong with a request; the installed one says that it found no model", _refused
    ),
    r"REST unload: (malformed|dependents are a number)": Meant(
        "a body that means nothing is refused; the installed server does not read it", _refused
    ),
    r"REST plain after a configuration": Meant(
        "the newer server returns to the configuration on disk", lambda theirs, ours: ours[1]["max_batch_size"] == 8
    ),
    r"REST index: (not only ready|other members)": Meant(
        "a model that came with a request stays in the index as unloaded, like every other",
        lambda theirs, ours: theirs[1] == [row for row in ours[1] if row["name"] != "carried"],
    ),
    r"gRPC negative shape|gRPC huge shape": Meant(
        "the newer server names the dimension; the installed one overflows", _refused
    ),
}
