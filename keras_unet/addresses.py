"""Addresses of machines: their form, whether a port here is free, and whether somebody answers there."""

import os
import socket

SCHEME = "grpc://"


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
    """Refuse an address where nobody listens: tf.data service would wait for ever.

    Raises:
        ConnectionError: If no connection comes about within the time.
    """
    host, _, port = check_address(address).removeprefix(SCHEME).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except OSError as error:
        reason = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
        raise ConnectionError(f"Expected keras-unet data-worker at {address}. Received: {reason}.") from None
