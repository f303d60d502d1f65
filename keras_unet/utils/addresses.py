"""Addresses of machines: their form, whether a port here is free, and whether somebody answers there."""

import os
import socket

SCHEME = "grpc://"

# HTTP/2, which gRPC speaks: both sides begin with their settings, here none, in a frame of nine bytes and its content.
_HEADER, _SETTINGS = 9, b"\x04"
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00" + _SETTINGS + bytes(5)


def check_address(address: str) -> str:
    """Refuse what is no address of an input machine.

    Raises:
        ValueError: If it is not `grpc://host:port`.
    """
    if not address.startswith(SCHEME):
        raise ValueError(f"Expected an address {SCHEME}host:port. Received {address!r}.")
    name = address.removeprefix(SCHEME)
    host, _, port = name.rpartition(":")
    if not (_is_host(host) and port.isdecimal() and 0 < int(port) < 65535):
        raise ValueError(f"Expected HOST:PORT, such as 10.0.0.7:5000, with a port from 1 to 65534. Received {name!r}.")
    return address


def _is_host(text: str) -> bool:
    return bool(text) and "/" not in text and not any(character.isspace() for character in text)


def check_port(port: int) -> None:
    """Refuse a port that somebody listens at: a second gRPC server would share it without a word.

    Raises:
        OSError: If it is taken; without a file's name.
    """
    with socket.socket() as probe:
        # Connections of a process that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", port))


def check_reachable(address: str, seconds: float = 10.0) -> None:
    """Refuse an address where nobody listens, or something that is no server of gRPC: tf.data would wait for ever.

    Raises:
        ConnectionError: If no connection comes about within the time, or no answer to a greeting.
    """
    host, _, port = check_address(address).removeprefix(SCHEME).rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), seconds) as connection:
            connection.sendall(_GREETING)
            with connection.makefile("rb") as answer:
                is_grpc = answer.read(_HEADER)[3:4] == _SETTINGS
    except OSError as error:
        reason = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
        raise ConnectionError(f"Expected keras-unet data-worker at {address}. Received: {reason}.") from None
    if not is_grpc:
        raise ConnectionError(f"Expected keras-unet data-worker at {address}. Received another kind of server.")
