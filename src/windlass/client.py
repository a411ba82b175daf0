"""``windlass.Client`` and ``windlass.AsyncClient``: a server's operations over REST, arrays in and arrays out.

Tensors travel in the protocol's binary form, so nothing is printed and parsed again. httpx carries both clients.
"""

import json
import ssl
import struct
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import numpy as np

from windlass.config.datatypes import BY_WIRE, numpy_dtype, of_array
from windlass.errors import ClientError

Array = np.ndarray[Any, Any]

_LENGTH = "Inference-Header-Content-Length"


def encode_request(
    inputs: Mapping[str, Any], outputs: Sequence[str], parameters: Mapping[str, Any]
) -> tuple[bytes, int]:
    """Return the body of an inference request and the length of the JSON at its start.

    Raises ``ClientError`` for an array of a type that the protocol does not carry.
    """
    tensors, tail = [], []
    for name, value in inputs.items():
        array = np.asarray(value)
        try:
            data_type = of_array(array.dtype)
        except KeyError:
            raise ClientError(f"input `{name}`: arrays of `{array.dtype}` cannot be sent") from None
        data = _encode_strings(array) if data_type.wire == "BYTES" else np.ascontiguousarray(array).tobytes()
        tail.append(data)
        described = {"name": name, "shape": list(array.shape), "datatype": data_type.wire}
        tensors.append({**described, "parameters": {"binary_data_size": len(data)}})
    head: dict[str, Any] = {"inputs": tensors, "parameters": {"binary_data_output": True, **parameters}}
    if outputs:
        head["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join([text, *tail]), len(text)


def decode_response(body: bytes, json_length: str | None) -> dict[str, Array]:
    """Return the outputs of an inference response by name."""
    length = int(json_length) if json_length else len(body)
    head, at, outputs = json.loads(body[:length]), length, {}
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        data = None if size is None else body[at : at + size]
        at += size or 0
        outputs[output["name"]] = _decode_tensor(output, data)
    return outputs


def _decode_tensor(output: Mapping[str, Any], data: bytes | None) -> Array:
    dtype, shape = numpy_dtype(BY_WIRE[output["datatype"]]), output["shape"]
    if data is None:
        return np.array(output["data"], dtype=dtype).reshape(shape)
    if dtype.kind == "O":
        return np.array(list(_decode_strings(data)), dtype=object).reshape(shape)
    return np.frombuffer(data, dtype=dtype).reshape(shape)


def _encode_strings(array: Array) -> bytes:
    elements = (item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist())
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def _decode_strings(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def _model_path(model: str, version: str | int, operation: str = "") -> str:
    middle = f"/versions/{version}" if version != "" else ""
    return f"/v2/models/{quote(model, safe='')}{middle}{operation}"


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        message = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        message = response.text or response.reason_phrase
    raise ClientError(message, status=response.status_code)


def _unreachable(error: httpx.HTTPError, url: str) -> ClientError:
    return ClientError(f"no answer from {url}: {error or type(error).__name__}", hint=_next_step(error))


def _next_step(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return "name who signed its certificate: `--tls-ca FILE`, or `tls=ssl.create_default_context(cafile=FILE)`"
        if isinstance(error, ssl.SSLError):
            return "does that port speak TLS? `http://` asks without"
        error = error.__cause__ or error.__context__
    return "is `windlass serve` running there?"


def _load_body(config: Mapping[str, Any] | str | None) -> dict[str, Any]:
    if config is None:
        return {}
    return {"parameters": {"config": config if isinstance(config, str) else json.dumps(config)}}


class Client:
    """A client that waits. Not for several threads at a time; each takes its own.

    Every method raises ``ClientError``: with the server's message and ``status``, or with none when none came.
    ``tls`` says who is believed to be a server at ``https://``, and who asks; without it the usual authorities count.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, timeout_s: float = 60.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._url = url if "://" in url else f"http://{url}"
        self._http = httpx.Client(base_url=self._url, timeout=timeout_s, trust_env=False, verify=tls or True)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise _unreachable(error, self._url) from error

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: str | int = "",
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> dict[str, Array]:
        """Ask a model; inputs are arrays or what becomes one, outputs come back by name (all, when none is named)."""
        body, length = encode_request(inputs, outputs, parameters or {})
        path = _model_path(model, version, "/infer")
        response = _checked(self._ask("POST", path, content=body, headers={_LENGTH: str(length)}))
        return decode_response(response.content, response.headers.get(_LENGTH))

    def live(self) -> bool:
        """Tell whether the server runs."""
        return self._ask("GET", "/v2/health/live").is_success

    def ready(self, model: str = "", version: str | int = "") -> bool:
        """Tell whether the server, or one of its models, wants requests."""
        path = _model_path(model, version, "/ready") if model else "/v2/health/ready"
        return self._ask("GET", path).is_success

    def metadata(self, model: str = "", version: str | int = "") -> dict[str, Any]:
        """Describe the server, or the inputs and outputs of a model."""
        path = _model_path(model, version) if model else "/v2"
        return dict(_checked(self._ask("GET", path)).json())

    def config(self, model: str, version: str | int = "") -> dict[str, Any]:
        """Return the configuration of a model with everything filled in."""
        return dict(_checked(self._ask("GET", _model_path(model, version, "/config"))).json())

    def statistics(self, model: str = "", version: str | int = "") -> list[dict[str, Any]]:
        """Return what versions did since they were loaded."""
        path = _model_path(model, version, "/stats") if model else "/v2/models/stats"
        return list(_checked(self._ask("GET", path)).json()["model_stats"])

    def models(self) -> list[dict[str, str]]:
        """Return the repository index: name, version, state, and the reason for it."""
        return list(_checked(self._ask("POST", "/v2/repository/index")).json())

    def load(self, model: str, config: Mapping[str, Any] | str | None = None) -> None:
        """Have a model loaded; returns when it is ready."""
        _checked(self._ask("POST", f"/v2/repository/models/{quote(model, safe='')}/load", json=_load_body(config)))

    def unload(self, model: str) -> None:
        """Have a model unloaded."""
        _checked(self._ask("POST", f"/v2/repository/models/{quote(model, safe='')}/unload", json={}))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The same for asyncio; one serves any number of tasks."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, timeout_s: float = 60.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._url = url if "://" in url else f"http://{url}"
        self._http = httpx.AsyncClient(base_url=self._url, timeout=timeout_s, trust_env=False, verify=tls or True)

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise _unreachable(error, self._url) from error

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: str | int = "",
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> dict[str, Array]:
        """Ask a model; see ``Client.infer``."""
        body, length = encode_request(inputs, outputs, parameters or {})
        path = _model_path(model, version, "/infer")
        response = _checked(await self._ask("POST", path, content=body, headers={_LENGTH: str(length)}))
        return decode_response(response.content, response.headers.get(_LENGTH))

    async def live(self) -> bool:
        """Tell whether the server runs."""
        return (await self._ask("GET", "/v2/health/live")).is_success

    async def ready(self, model: str = "", version: str | int = "") -> bool:
        """Tell whether the server, or one of its models, wants requests."""
        path = _model_path(model, version, "/ready") if model else "/v2/health/ready"
        return (await self._ask("GET", path)).is_success

    async def metadata(self, model: str = "", version: str | int = "") -> dict[str, Any]:
        """Describe the server, or the inputs and outputs of a model."""
        path = _model_path(model, version) if model else "/v2"
        return dict(_checked(await self._ask("GET", path)).json())

    async def config(self, model: str, version: str | int = "") -> dict[str, Any]:
        """Return the configuration of a model with everything filled in."""
        return dict(_checked(await self._ask("GET", _model_path(model, version, "/config"))).json())

    async def statistics(self, model: str = "", version: str | int = "") -> list[dict[str, Any]]:
        """Return what versions did since they were loaded."""
        path = _model_path(model, version, "/stats") if model else "/v2/models/stats"
        return list(_checked(await self._ask("GET", path)).json()["model_stats"])

    async def models(self) -> list[dict[str, str]]:
        """Return the repository index: name, version, state, and the reason for it."""
        return list(_checked(await self._ask("POST", "/v2/repository/index")).json())

    async def load(self, model: str, config: Mapping[str, Any] | str | None = None) -> None:
        """Have a model loaded; returns when it is ready."""
        _checked(
            await self._ask("POST", f"/v2/repository/models/{quote(model, safe='')}/load", json=_load_body(config))
        )

    async def unload(self, model: str) -> None:
        """Have a model unloaded."""
        _checked(await self._ask("POST", f"/v2/repository/models/{quote(model, safe='')}/unload", json={}))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
