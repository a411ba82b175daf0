"""What is asked about the log's settings and the trace's, over both protocols."""

import json
from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest, Rpc
from oracle.meant import Meant

_TRACE = "/v2/trace/setting"
_MODEL = "/v2/models/echo/trace/setting"


def cases() -> list[Rest | Rpc]:
    """Return every question about settings. What one changes the next ones find."""
    return [*_log(), *_rpc_log(), *_trace(), *_rpc_trace()]


def _post(name: str, path: str, body: object) -> Rest:
    return Rest(f"settings: {name}", "POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())


def _log() -> list[Rest]:
    bodies: dict[str, Any] = {
        "nothing": {},
        "info off": {"log_info": False},
        "info on": {"log_info": True},
        "info is a number": {"log_info": 1},
        "info is a text": {"log_info": "true"},
        "info is nothing": {"log_info": None},
        "warning off": {"log_warning": False},
        "error off": {"log_error": False},
        "all on": {"log_info": True, "log_warning": True, "log_error": True},
        "verbose 1": {"log_verbose_level": 1},
        "verbose 0": {"log_verbose_level": 0},
        "verbose -1": {"log_verbose_level": -1},
        "verbose a text": {"log_verbose_level": "1"},
        "verbose true": {"log_verbose_level": True},
        "verbose 1.5": {"log_verbose_level": 1.5},
        "format ISO8601": {"log_format": "ISO8601"},
        "format default": {"log_format": "default"},
        "format other": {"log_format": "other"},
        "format a number": {"log_format": 7},
        "a file": {"log_file": "/tmp/x"},
        "no file": {"log_file": ""},
        "unknown": {"log_other": True},
        "a list": [],
        "malformed": b"{",
        "empty": b"",
    }
    return [
        Rest("settings: log", "GET", "/v2/logging"),
        *[_post(f"log: {name}", "/v2/logging", body) for name, body in bodies.items()],
        Rest("settings: log after all", "GET", "/v2/logging"),
        Rest("settings: log of a model", "GET", "/v2/models/echo/logging"),
    ]


def _rpc_log() -> list[Rpc]:
    def one(name: str, key: str = "", **value: object) -> Rpc:
        request = pb.LogSettingsRequest()
        if key:
            request.settings[key].CopyFrom(pb.LogSettingsRequest.SettingValue(**value))  # type: ignore[arg-type]
        return Rpc(f"settings: log: {name}", "LogSettings", request)

    return [
        one("nothing"),
        one("info off", "log_info", bool_param=False),
        one("info on", "log_info", bool_param=True),
        one("info is a number", "log_info", uint32_param=1),
        one("warning is a text", "log_warning", string_param="x"),
        one("error is a text", "log_error", string_param="x"),
        one("verbose 1", "log_verbose_level", uint32_param=1),
        one("verbose 0", "log_verbose_level", uint32_param=0),
        one("verbose is a text", "log_verbose_level", string_param="x"),
        one("format ISO8601", "log_format", string_param="ISO8601"),
        one("format default", "log_format", string_param="default"),
        one("format other", "log_format", string_param="other"),
        one("format is a number", "log_format", uint32_param=1),
        one("a file", "log_file", string_param="/tmp/x"),
        one("a file that is a number", "log_file", uint32_param=1),
        one("unknown", "log_other", bool_param=True),
        one("no value", "log_info"),
    ]


_VALUES: Mapping[str, Any] = {
    "nothing": {},
    "level": {"trace_level": ["TIMESTAMPS"]},
    "both levels": {"trace_level": ["TIMESTAMPS", "TENSORS"]},
    "level and off": {"trace_level": ["TIMESTAMPS", "OFF"]},
    "off": {"trace_level": ["OFF"]},
    "level by its older name": {"trace_level": ["MIN"]},
    "level unknown": {"trace_level": ["OTHER"]},
    "level a text": {"trace_level": "TIMESTAMPS"},
    "level a number": {"trace_level": 7},
    "level nothing": {"trace_level": None},
    "levels none": {"trace_level": []},
    "rate": {"trace_rate": "5"},
    "rate a number": {"trace_rate": 5},
    "rate a word": {"trace_rate": "x"},
    "rate -1": {"trace_rate": "-1"},
    "rate 0": {"trace_rate": "0"},
    "rate huge": {"trace_rate": "99999999999"},
    "rate nothing": {"trace_rate": None},
    "count": {"trace_count": "3"},
    "count -1": {"trace_count": "-1"},
    "count -2": {"trace_count": "-2"},
    "count a word": {"trace_count": "x"},
    "count huge": {"trace_count": "99999999999"},
    "count nothing": {"trace_count": None},
    "frequency": {"log_frequency": "2"},
    "frequency a word": {"log_frequency": "x"},
    "frequency -1": {"log_frequency": "-1"},
    "frequency nothing": {"log_frequency": None},
    "file": {"trace_file": "/tmp/x"},
    "file nothing": {"trace_file": None},
    "mode": {"trace_mode": "opentelemetry"},
    "unknown": {"trace_other": "x"},
    "a list": [],
    "malformed": b"{",
}


def _trace() -> list[Rest]:
    found = [Rest("settings: trace", "GET", _TRACE), Rest("settings: trace of echo", "GET", _MODEL)]
    for path, whose in ((_TRACE, "all"), (_MODEL, "echo")):
        for name, body in _VALUES.items():
            found.append(_post(f"trace of {whose}: {name}", path, body))
            found.append(Rest(f"settings: trace of echo after {whose}: {name}", "GET", _MODEL))
    return [
        *found,
        Rest("settings: trace of an unknown model", "GET", "/v2/models/nope/trace/setting"),
        _post("trace of an unknown model", "/v2/models/nope/trace/setting", {}),
        Rest("settings: trace of a version", "GET", "/v2/models/echo/versions/1/trace/setting"),
    ]


def _rpc_trace() -> list[Rpc]:
    found = []
    for model in ("", "echo", "nope"):
        for name, body in _VALUES.items():
            if isinstance(body, dict) and all(not isinstance(value, int) for value in body.values()):
                request = pb.TraceSettingRequest(model_name=model)
                for key, value in body.items():
                    values = value if isinstance(value, list) else [] if value is None else [value]
                    request.settings[key].value.extend(values)
                    request.settings[key].SetInParent()
                found.append(Rpc(f"settings: trace of {model or 'all'}: {name}", "TraceSetting", request))
    return found


def _refused(theirs: Any, ours: Any) -> bool:
    return ours[0] in (400, "INVALID_ARGUMENT")


MEANT = {
    r"REST settings: log: format other": Meant(
        "a value that is none is the client's fault",
        lambda theirs, ours: (theirs[0], ours[0]) == (503, 400) and theirs[1] == ours[1],
    ),
    r"(REST|gRPC) settings: trace of (all|echo): (rate|frequency) -1": Meant(
        "a number below nothing is refused; the real server takes it for four billion", _refused
    ),
    r"REST settings: trace of echo after (all|echo): (rate|frequency) -1": Meant(
        "what is refused changes nothing", lambda theirs, ours: "4294967295" in str(theirs) and ours[0] == 200
    ),
    r"(REST|gRPC) settings: trace of .*: level .*": Meant(
        "the older names of the level still mean it; the real server turns traces off",
        lambda theirs, ours: str(theirs).replace("OFF", "TIMESTAMPS") == str(ours),
    ),
    r"gRPC settings: trace of nope: .*": Meant(
        "the newer server has no settings for a model that is not known", lambda theirs, ours: ours == ("OK", "")
    ),
}
