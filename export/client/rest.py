"""TensorFlow Serving's REST interface, by the standard library alone."""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet.preprocessing.image_statistics import BY_STATISTICS

from .errors import ServerError, name_of, other_protocol, server_error
from .formats import FORMATS, PngFormat
from .http_in_time import Request, opener
from .json_text import parsed, shown

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

_PART = 1024**2  # bytes that are read at a time
_FEWEST = 4 * 1024**2  # bytes that an answer may always have, as over gRPC: a description is as long as its metadata
# The client plans answers by the JSON of TensorFlow Serving. One that is indented twice as deep and has all digits of
# doubles, or base64 of the PNG of a column of pixels, stays below twice the plan.
_SLACK = 2


class RestChannel:
    """A model on a server, by REST.

    Args:
        url: Address of the server, such as `"http://localhost:8501"`.
        model: Name of the model.
        version: A version number, a label, or None for the newest version.
        timeout: Seconds within which an answer has to be complete.
        headers: Sent with every request, such as authorization; to this server alone, as no redirection is followed.
        max_message_bytes: Of an answer, twice that is read at most, or 4 MiB if that is more; None for what is usual
            for the kind of request.
    """

    json = True
    raw_dtypes = ("uint8", "int16", "float32")  # TensorFlow Serving reads no uint16 from JSON

    def __init__(
        self,
        url: str,
        model: str,
        version: int | str | None,
        timeout: float,
        headers: Mapping[str, str],
        max_message_bytes: int | None = None,
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._address, self._timeout, self._headers = url, timeout, dict(headers)
        self._asked = name_of(model, version)
        kind = "labels" if isinstance(version, str) else "versions"
        self._opener = opener()
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
        body = {"signature_name": signature, "inputs": tensors}
        answer = self._answer("outputs", f"{self._url}:predict", body, self._longest(signature))
        if not isinstance(answer, dict):  # a single output comes without its name
            answer = {outputs[0]: answer}
        missing = [name for name in outputs if name not in answer]
        if missing:
            raise ServerError(
                f"Expected {', '.join(missing)} in the answer. Received {', '.join(answer) or 'nothing':.200}."
            )
        return {name: self._tensor(name, answer[name]) for name in outputs}

    def versions(self) -> dict[int, str]:
        """Version numbers and their states, such as `"AVAILABLE"`."""
        statuses = self._answer("model_version_status", self._url, None, self._longest("description"))
        try:
            return {int(status["version"]): status["state"] for status in statuses}
        except (ValueError, KeyError, TypeError, OverflowError):
            raise ServerError(f"Expected versions from {self._address}. Received {shown(statuses)}.") from None

    def close(self) -> None:
        """Nothing to close: each request has a connection of its own."""

    def _longest(self, signature: str) -> int:
        usual = FORMATS.get(signature.removesuffix(BY_STATISTICS), PngFormat).usual_message_bytes(json=True)
        return max(_SLACK * (self._max_message_bytes or usual), _FEWEST)

    def _tensor(self, name: str, value: Any) -> NDArray[Any]:
        try:
            return _from_json(value)
        except ServerError as error:
            raise ServerError(f"{error} It is in {name} of the answer from {self._address}.") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ServerError(
                f"Expected tensors from {self._address}. Received JSON that holds something else."
            ) from None

    def _answer(self, key: str, url: str, body: Mapping[str, Any] | None, longest: int) -> Any:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        request = Request(url, data, {"Content-Type": "application/json", **self._headers}, longest)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                text = _read(response)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except ServerError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(error) from None
        except ValueError as error:  # http.client reads a chunk of negative length
            raise ServerError(f"Expected HTTP from {self._address}. Received what is none: {error}.") from None
        try:
            return parsed(text)[key]
        except (ValueError, KeyError, TypeError):
            raise ServerError(f"Expected JSON with {key!r} from {self._address}. Received something else.") from None

    def _refusal(self, error: urllib.error.HTTPError) -> ServerError:
        if 300 <= error.code < 400:
            # Following would send the headers, which may hold a secret, to whomever it names.
            return ServerError(
                f"Expected an answer from {self._address}. Received HTTP status {error.code}, a redirection, which is "
                "not followed: give the address of the server itself."
            )
        status = _STATUSES.get(error.code, f"HTTP status {error.code}")
        return self._error(status, _error_text(error))

    def _no_answer(self, error: OSError | http.client.HTTPException) -> ServerError:
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
            return other_protocol("REST", self._address)
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError) and reason.reason == "WRONG_VERSION_NUMBER":
            return ServerError(f"Expected TLS at {self._address}. Received an answer without: is it http:// there?")
        status = "DEADLINE_EXCEEDED" if isinstance(reason, TimeoutError) else "UNAVAILABLE"
        return self._error(status, str(reason))

    def _error(self, status: str, text: str) -> ServerError:
        return server_error(status, text, self._address, self._asked, self._timeout)


def _read(response: Any) -> bytes:
    """The body of an answer, in parts: at once, room would be made for whatever length it declares."""
    body = b"".join(iter(lambda: response.read(_PART), b""))
    if response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body


def _error_text(error: urllib.error.HTTPError) -> str:
    """What TensorFlow Serving says in JSON; a proxy in front may say anything."""
    try:
        text = parsed(_read(error.fp).decode(errors="replace"))["error"]
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        text = None
    return text if isinstance(text, str) else str(error.reason)


def _to_json(array: NDArray[Any]) -> Any:
    if array.dtype != object:
        return array.tolist()
    return [{"b64": base64.b64encode(value).decode()} for value in array]


def _from_json(value: Any) -> NDArray[Any]:
    if isinstance(value, list) and value and isinstance(value[0], dict | str):
        strings = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in value]
        return np.array(strings, object)
    # As objects first: NumPy would make one large array of texts of numbers and a long text, and numbers of booleans.
    objects = np.array(value, object)
    kinds = set(map(type, objects.ravel()))
    if not kinds <= {int, float}:
        raise ServerError(
            f"Expected numbers or a list of texts. Received {', '.join(sorted(kind.__name__ for kind in kinds))}."
        )
    try:
        return objects.astype(np.int64 if kinds == {int} else np.float64)
    except OverflowError:
        raise ServerError("Expected numbers of 64 bits. Received larger ones.") from None
