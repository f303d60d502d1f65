"""Addresses of servers, checked before anything is sent."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_GRPC_PORT = 8500  # of TensorFlow Serving
_PLACE = re.compile(
    r"(?:\[[0-9a-f:.]+(?:%[\w.-]+)?\]|(?P<name>[\w.-]+))(?::(?P<port>\d{0,5}))?", re.ASCII | re.IGNORECASE
)
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # characters of a host name, and between its dots; RFC 1035


class Address(NamedTuple):
    """Where a server is.

    Args:
        protocol: `"http"`, `"https"`, `"grpc"` or `"grpcs"`.
        place: `host:port` for gRPC, the whole URL without a slash at its end for REST.
    """

    protocol: str
    place: str


def read_address(url: str) -> Address:
    """The parts of an address.

    Args:
        url: Such as `"http://host:8501"` or `"grpc://host:8500"`.

    Raises:
        ValueError: If it is no address of a server, or holds a user and a password.
    """
    if "@" in url:  # which is not shown: addresses get logged
        raise ValueError(
            "Expected an address without user and password, which travel as headers={'Authorization': …} (--header). "
            "Received an address that holds an @."
        )
    protocol, place, path = _parts(url)
    if path.startswith("/v1"):
        raise ValueError(f"Expected the address of the server alone, to which /v1/models/… is added. Received {url!r}.")
    if protocol in ("http", "https"):
        return Address(protocol, url.rstrip("/"))
    if path.strip("/"):
        raise ValueError(f"Expected an address such as grpc://host:8500, without a path. Received {url!r}.")
    place = place.removesuffix(":")
    return Address(protocol, place if re.search(r":\d+$", place) else f"{place}:{_GRPC_PORT}")


def _parts(url: str) -> tuple[str, str, str]:
    """Protocol, host with port, and path."""
    refusal = ValueError(f"Expected an address such as http://host:8501 or grpc://host:8500. Received {url!r}.")
    if not re.fullmatch(r"[!-~]+", url) or "?" in url or "#" in url:
        raise refusal
    try:
        protocol, place, path, *_ = urlsplit(url)
    except ValueError:
        raise refusal from None
    if protocol not in ("http", "https", "grpc", "grpcs") or not _is_place(place):
        raise refusal
    return protocol, place, path


def _is_place(place: str) -> bool:
    found = _PLACE.fullmatch(place)
    if not found or (found["port"] and not 1 <= int(found["port"]) <= 65535):
        return False
    return found["name"] is None or _is_name(found["name"])


def _is_name(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    return len(name) <= _LONGEST_NAME and all(1 <= len(label) <= _LONGEST_LABEL for label in labels)
