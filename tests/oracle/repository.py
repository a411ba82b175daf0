"""What both servers are asked about loading: what a request may carry, what is known of a model in each of its states."""

import base64
import json
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest, Rpc, infer, tensor

ECHO = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", 2 * array)]) for array in arrays]
"""


def config(**changes: object) -> str:
    """Return the configuration of the model ``spare``, as load requests carry it."""
    one = {"data_type": "TYPE_FP32", "dims": [-1]}
    full = {
        "backend": "python",
        "max_batch_size": 4,
        "input": [{"name": "INPUT0", **one}],
        "output": [{"name": "OUTPUT0", **one}],
        "instance_group": [{"kind": "KIND_CPU"}],
        **changes,
    }
    return json.dumps({key: value for key, value in full.items() if value is not None})


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _load(name: str, model: str = "spare", /, **parameters: object) -> Rest:
    return _post(f"load: {name}", f"models/{model}/load", {"parameters": parameters} if parameters else {})


def _unload(name: str, model: str = "spare", body: object = None) -> Rest:
    return _post(f"unload: {name}", f"models/{model}/unload", {} if body is None else body)


def _post(name: str, path: str, body: Any) -> Rest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Rest(name, "POST", f"/v2/repository/{path}", raw)


def _ask(state: str, model: str = "spare") -> list[Rest]:
    """Ask everything there is to ask of a model that is in some state."""
    where = f"/v2/models/{model}"
    gets = [
        "",
        "/config",
        "/ready",
        "/stats",
        "/versions/1",
        "/versions/1/ready",
        "/versions/1/config",
        "/versions/1/stats",
    ]
    infers = [f"{where}/infer", f"{where}/versions/1/infer"]
    body = json.dumps({"inputs": [tensor()]}).encode()
    return [
        *[
            Rest(f"{state}: GET {path}", "GET", where + path)
            for path in gets
            if "stats" not in path or state != "ready"
        ],
        *[Rest(f"{state}: POST {path.removeprefix(where)}", "POST", path, body) for path in infers],
    ]


def rest_cases() -> list[Rest]:
    """Return every REST request about loading, in the order in which they make sense."""
    return [*_lives(), *_carried(), *_faults(), *_versions()]


def _lives() -> list[Rest]:
    return [
        *_ask("ready"),
        _unload("spare"),
        *_ask("unloaded"),
        _unload("spare again"),
        _load("spare"),
        _load("spare again"),
        *_ask("loaded"),
        *_ask("never known", "nope"),
    ]


def _carried() -> list[Rest]:
    files = {"file:5/model.py": _encoded(ECHO)}
    camel = config(max_batch_size=None, maxBatchSize=2)
    return [
        _load("a configuration", config=config()),
        *_ask("with a configuration"),
        _load("a configuration in the other spelling", config=camel),
        Rest("the other spelling", "GET", "/v2/models/spare/config"),
        _load("plain after a configuration"),
        Rest("plain after a configuration", "GET", "/v2/models/spare/config"),
        _load("files", config=config(), **files),
        *_ask("with files"),
        infer("the files answer", tensor(), model="spare"),
        _load("plain after files"),
        *_ask("plain after files"),
        _load("a model that is nowhere", "carried", config=config(), **files),
        infer("a model that was nowhere answers", tensor(), model="carried"),
        _load("a model that is nowhere, plain", "carried"),
        _unload("a model that is nowhere", "carried"),
        infer("a model that was nowhere is gone", tensor(), model="carried"),
    ]


def _faults() -> list[Rest]:
    files = {"file:1/model.py": _encoded(ECHO)}
    bad: dict[str, dict[str, Any]] = {
        "configuration is no JSON": {"config": "{"},
        "configuration is empty": {"config": ""},
        "configuration is an array": {"config": "[]"},
        "configuration is a number": {"config": 7},
        "configuration of unknown fields": {"config": '{"max_batch_sizes": 1}'},
        "configuration of a wrong type": {"config": '{"max_batch_size": "x"}'},
        "configuration of an unknown value": {
            "config": config(input=[{"name": "A", "data_type": "TYPE_X", "dims": [1]}])
        },
        "another backend": {"config": config(backend="nothing")},
        "another name": {"config": config(name="other")},
        "no version": {"config": config(version_policy={"specific": {"versions": [9]}})},
        "files without a configuration": files,
        "a file above": {"config": config(), "file:../x": _encoded("x")},
        "a file elsewhere": {"config": config(), "file:/tmp/x": _encoded("x")},
        "a file that is a number": {"config": config(), "file:1/model.py": 7},
        "an unknown parameter": {"other": "x"},
        "an unknown parameter that is a number": {"other": 7},
    }
    index = "/v2/repository/index"
    return [
        *[_load(name, **parameters) for name, parameters in bad.items()],
        *_ask("after faults"),
        _load("no name", "%20"),
        _load("spaces around", "%20spare%20"),
        _load("a path", "a%2Fb"),
        _load("a way up", ".."),
        _post("load: malformed", "models/spare/load", b"{"),
        _post("load: an array", "models/spare/load", b"[]"),
        _post("load: nothing", "models/spare/load", b""),
        _post("load: parameters are an array", "models/spare/load", {"parameters": []}),
        _post("load: parameters are empty", "models/spare/load", {"parameters": {}}),
        _post("load: another repository", "other/models/spare/load", {}),
        _post("load: a version", "models/spare/versions/1/load", {}),
        _post("unload: another repository", "other/models/spare/unload", {}),
        _unload("malformed", body=b"{"),
        _unload("with dependents", body={"parameters": {"unload_dependents": True}}),
        _unload("dependents are a number", body={"parameters": {"unload_dependents": 7}}),
        _unload("other parameters", body={"parameters": {"other": 7}}),
        _load("spare after all"),
        Rest("load: GET", "GET", "/v2/repository/models/spare/load"),
        Rest("unload: GET", "GET", "/v2/repository/models/spare/unload"),
        Rest("index: malformed", "POST", index, b"{"),
        Rest("index: not only ready", "POST", index, b'{"ready":false}'),
        Rest("index: other members", "POST", index, b'{"other":1}'),
    ]


def _versions() -> list[Rest]:
    body = json.dumps({"inputs": [tensor()]}).encode()
    texts = ["0", "2", "01", "99999999999999999999", "-1", "x", "1x", ""]
    return [
        *[Rest(f"version '{text}'", "GET", f"/v2/models/spare/versions/{text}") for text in texts],
        *[Rest(f"infer version '{text}'", "POST", f"/v2/models/spare/versions/{text}/infer", body) for text in texts],
        *[Rest(f"version '{text}' ready", "GET", f"/v2/models/spare/versions/{text}/ready") for text in texts],
    ]


def rpc_cases() -> list[Rpc]:
    """Return every gRPC request about loading, in the order in which they make sense."""
    escape = {"config": config(), "file:../x": ECHO.encode()}
    return [
        _rpc_load("a configuration", config=config()),
        *_rpc_ask("with a configuration"),
        _rpc_load("files", config=config(), **{"file:5/model.py": ECHO.encode()}),
        *_rpc_ask("with files"),
        _rpc_load("plain"),
        *_rpc_ask("plain"),
        _rpc_load("configuration is no JSON", config="{"),
        _rpc_load("configuration is a number", config=7),
        _rpc_load("an unknown parameter", other="x"),
        _rpc_load("a file above", **escape),
        _rpc_load("files without a configuration", **{"file:1/model.py": ECHO.encode()}),
        _rpc_load("a file that is a text", config=config(), **{"file:1/model.py": ECHO}),
        Rpc("load: no name", "RepositoryModelLoad", pb.RepositoryModelLoadRequest()),
        Rpc(
            "load: repository",
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(repository_name="x", model_name="spare"),
        ),
        Rpc("unload", "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="spare")),
        *_rpc_ask("unloaded"),
        Rpc(
            "unload: repository",
            "RepositoryModelUnload",
            pb.RepositoryModelUnloadRequest(repository_name="x", model_name="spare"),
        ),
        _rpc_load("after all"),
    ]


def _rpc_load(name: str, **parameters: str | int | bytes) -> Rpc:
    request = pb.RepositoryModelLoadRequest(model_name="spare")
    for key, value in parameters.items():
        kind = {str: "string_param", int: "int64_param", bytes: "bytes_param"}[type(value)]
        setattr(request.parameters[key], kind, value)
    return Rpc(f"load: {name}", "RepositoryModelLoad", request)


def _rpc_ask(state: str) -> list[Rpc]:
    return [
        Rpc(f"{state}: ready", "ModelReady", pb.ModelReadyRequest(name="spare")),
        Rpc(f"{state}: ready 1", "ModelReady", pb.ModelReadyRequest(name="spare", version="1")),
        Rpc(f"{state}: metadata", "ModelMetadata", pb.ModelMetadataRequest(name="spare")),
        Rpc(f"{state}: metadata 1", "ModelMetadata", pb.ModelMetadataRequest(name="spare", version="1")),
        Rpc(f"{state}: config 1", "ModelConfig", pb.ModelConfigRequest(name="spare", version="1")),
        Rpc(f"{state}: statistics 9", "ModelStatistics", pb.ModelStatisticsRequest(name="spare", version="9")),
    ]
