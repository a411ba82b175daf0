"""Where streams differ from the real server's, each with the reason a user would accept, and what has to hold all the same."""

from typing import Any

from oracle.meant import Meant


def _same_text(theirs: Any, ours: Any) -> bool:
    return (theirs[0], ours[0]) == (500, 400) and theirs[1:] == ours[1:]


def _own_status(theirs: Any, ours: Any) -> bool:
    return theirs[0] == 400 and ours[0] in (404, 500, 501, 503) and theirs[1:] == ours[1:]


def _one_row(theirs: Any, ours: Any) -> bool:
    return ours[0] == 200 and "out of bounds index 0: request has 0 inputs" in theirs[2]


def _last_of_two(theirs: Any, ours: Any) -> bool:
    return isinstance(theirs[2], str) and theirs[2].replace('\\"n\\", 1', '\\"n\\", 2') == ours[2]


def _without_type(theirs: Any, ours: Any) -> bool:
    return (404, "text/plain", ours[2]) == theirs and ours[:2] == (404, None)


# A difference is meant where one of these holds.
MEANT = {
    "faults of JSON": Meant("it is the client's fault: 400 with the same text", _same_text),
    "failing models": Meant("the status of the model's error, as over `infer` and in newer releases", _own_status),
    "no inputs": Meant(
        "a batching model whose inputs are all optional may be asked without any: for one row", _one_row
    ),
    "a name twice": Meant("of parameters with the same name the last counts, as nearly everywhere", _last_of_two),
    "unknown paths": Meant("the newer server tells no type for what is not found", _without_type),
}
