"""TensorFlow Serving's REST interface, by the standard library alone."""

import base64
import http.client
import io
import json
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ServerError, name_of, other_protocol, server_error

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    # Proxies answer 502 while the server behind them starts.
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestChannel:
    """A model on a server, by REST.

    Args:
        url: Address of the server, such as `"http://localhost:8501"`.
        model: Name of the model.
        version: A version number, a label, or None for the newest version.
        timeout: Seconds within which an answer has to be complete.
        headers: Sent with every request, such as authorization.
    """

    json = True
    raw_dtypes = ("uint8", "int16", "float32")  # TensorFlow Serving reads no uint16 from JSON

    def __init__(
        self, url: str, model: str, version: int | str | None, timeout: float, headers: Mapping[str, str]
    ) -> None:
        self._address, self._timeout, self._headers = url, timeout, dict(headers)
        self._asked = name_of(model, version)
        kind = "labels" if isinstance(version, str) else "versions"
        self._opener = urllib.request.build_opener(_HttpInTime, _HttpsInTime)
        chosen = "" if version is None else f"/{kind}/{urllib.parse.quote(str(version), safe='')}"
        self._url = f"{url}/v1/models/{urllib.parse.quote(model, safe='')}{chosen}"

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """The named outputs of a signature; byte strings travel in arrays of objects.

        Raises:
            ServerError: If there is no answer, or not the expected one.
        """
        tensors = {name: _to_json(array) for name, array in inputs.items()}
        answer = self._answer("outputs", f"{self._url}:predict", {"signature_name": signature, "inputs": tensors})
        if not isinstance(answer, dict):  # a single output comes without its name
            answer = {outputs[0]: answer}
        missing = [name for name in outputs if name not in answer]
        if missing:
            raise ServerError(
                f"Expected {', '.join(missing)} in the answer. Received {', '.join(answer) or 'nothing'}."
            )
        try:
            return {name: _from_json(answer[name]) for name in outputs}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ServerError(
                f"Expected tensors from {self._address}. Received JSON that holds something else."
            ) from None

    def versions(self) -> dict[int, str]:
        """Version numbers and their states, such as `"AVAILABLE"`."""
        statuses = self._answer("model_version_status", self._url)
        try:
            return {int(status["version"]): status["state"] for status in statuses}
        except (ValueError, KeyError, TypeError):
            raise ServerError(f"Expected versions from {self._address}. Received {statuses!r:.100}.") from None

    def close(self) -> None:
        """Nothing to close: each request has a connection of its own."""

    def _answer(self, key: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **self._headers})
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            status = _STATUSES.get(error.code, f"HTTP status {error.code}")
            raise self._error(status, _error_text(error)) from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
                raise other_protocol("REST", self._address) from None
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLError) and reason.reason == "WRONG_VERSION_NUMBER":
                raise ServerError(
                    f"Expected TLS at {self._address}. Received an answer without: is it http:// there?"
                ) from None
            status = "DEADLINE_EXCEEDED" if isinstance(reason, TimeoutError) else "UNAVAILABLE"
            raise self._error(status, str(reason)) from None
        try:
            return json.loads(text)[key]
        except (ValueError, KeyError, TypeError):
            raise ServerError(f"Expected JSON with {key!r} from {self._address}. Received something else.") from None

    def _error(self, status: str, text: str) -> ServerError:
        return server_error(status, text, self._address, self._asked, self._timeout)


class _InTime:
    """Makes the time-out that of the whole answer: alone it is that of each piece, and a server may drip."""

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> http.client.HTTPResponse:
        seconds: float = req.timeout  # type: ignore[assignment]  # given to every request
        deadline = time.monotonic() + seconds

        def connection(host: str, **more: Any) -> http.client.HTTPConnection:
            made: http.client.HTTPConnection = http_class(host, **more)
            made.response_class = partial(_ResponseInTime, deadline=deadline)  # type: ignore[assignment]
            return made

        response: http.client.HTTPResponse = super().do_open(connection, req, **options)  # type: ignore[misc]
        # What a redirection may take; 0 would mean not to wait at all.
        req.timeout = max(deadline - time.monotonic(), 0.001)
        return response


class _HttpInTime(_InTime, urllib.request.HTTPHandler):
    pass


class _HttpsInTime(_InTime, urllib.request.HTTPSHandler):
    pass


class _ResponseInTime(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, deadline: float, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_StreamInTime(sock, self.fp.detach(), deadline))


class _StreamInTime(io.RawIOBase):
    """What a socket receives until a deadline."""

    def __init__(self, sock: socket.socket, stream: io.RawIOBase, deadline: float) -> None:
        self._socket, self._stream, self._deadline = sock, stream, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _error_text(error: urllib.error.HTTPError) -> str:
    """What TensorFlow Serving says in JSON; a proxy in front may say anything."""
    try:
        return str(json.loads(error.read().decode(errors="replace"))["error"])
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return str(error.reason)


def _to_json(array: NDArray[Any]) -> Any:
    if array.dtype != object:
        return array.tolist()
    return [{"b64": base64.b64encode(value).decode()} for value in array]


def _from_json(value: Any) -> NDArray[Any]:
    if isinstance(value, list) and value and isinstance(value[0], dict | str):
        strings = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in value]
        return np.array(strings, object)
    return np.asarray(value)
