"""What can go wrong between client and server, told in one sentence each."""

from ..error_messages import sentence

_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
_LONGEST_TEXT = 1000  # characters of what is told of a server's own words
_REFUSALS = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE")


class ServerError(OSError):
    """The server cannot be reached, has no such model, took too long or failed.

    Attributes:
        retry: Whether the same request may succeed later.
    """

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class RefusedError(ServerError, ValueError):
    """The server refused what was sent; the message is the server's sentence."""


def other_protocol(protocol: str, address: str) -> ServerError:
    """The error for a server that speaks, but not the protocol of its address.

    Args:
        protocol: What was expected, `"REST"` or `"gRPC"`.
        address: Address of the server.
    """
    return ServerError(
        f"Expected {protocol} at {address}. Received another protocol: TensorFlow Serving speaks gRPC at port 8500 "
        "(grpc://host:8500) and REST at port 8501 (http://host:8501)."
    )


def name_of(model: str, version: int | str | None) -> str:
    """What was asked for, in words."""
    return f"a model {model!r}" if version is None else f"a model {model!r} with version {version!r}"


def server_error(status: str, text: str, address: str, asked: str, timeout: float) -> ServerError:
    """The error for a status that is not OK.

    Args:
        status: Canonical name of the status, such as `"UNAVAILABLE"`.
        text: What the server, or the library that could not reach it, says.
        address: Address of the server.
        asked: From `name_of`.
        timeout: How long an answer was waited for, in seconds.
    """
    if status in _REFUSALS:
        return RefusedError(sentence(text))
    received = " ".join(text[:_LONGEST_TEXT].split()).rstrip(".") or status
    # A message that is too long does not get shorter by waiting.
    retry = status in _PASSING and "larger than max" not in text
    if status == "DEADLINE_EXCEEDED":
        return ServerError(f"Expected an answer from {address} within {timeout:g} s. Received none.", retry=retry)
    if status == "NOT_FOUND":
        return ServerError(f"Expected {asked} at {address}. Received: {received}.")
    return ServerError(f"Expected an answer from {address}. Received {status}: {received}.", retry=retry)
