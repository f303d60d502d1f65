"""What tests of the client share: addresses, servers that answer by a script."""

import contextlib
import socket
import threading
import time
from functools import partial

import numpy as np
import pytest

from helpers import nets
from keras_unet.export.client import Client

TILE = 68
QUANTUM = 1 / 65535  # of a probability that travels as PNG


def noise(height, width, channels=1, dtype=np.uint8):
    return nets.noise(height, width, channels, dtype=dtype)


connect = partial(Client, timeout=600.0)  # a busy machine is no fault


def address(server, scheme):
    if scheme == "grpc":
        pytest.importorskip("tensorflow_serving.apis")
    return getattr(server, scheme)


schemes = pytest.mark.parametrize("scheme", ["rest", "grpc"])


def _read_request(connection):
    """Read a request to its end: bytes left unread when a socket closes reset it, and the answer is lost."""
    with connection.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)


@contextlib.contextmanager
def scripted(*parts, pause=0.05):
    """The address of a server that answers everybody with these parts, or what they hold, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            with connection, contextlib.suppress(OSError):
                _read_request(connection)
                for part in parts:
                    for piece in [part] if isinstance(part, bytes) else part:
                        connection.sendall(piece)
                    time.sleep(pause)

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


DESCRIPTION = {
    "format": 1,
    "input": {"dtype": "float32", "channels": 1, "value_range": [0, 255]},
    "num_classes": 2,
    "geometry": {"depth": 2, "padding": "same", "upsampling": "transposed"},
    "max_pixels": 10_000,
    "metadata": {},
}


def nested(depth):
    """A list in a list, and so on: printing it takes more of the stack than reading it did."""
    value = []
    for _ in range(depth):
        value = [value]
    return value
