"""Answers over HTTP that drip, never end, break off, lead elsewhere or hold something else."""

import json
import socket
import time

import numpy as np
import pytest
from helpers.clients import DESCRIPTION, nested, scripted

from keras_unet.export.client import Client, RefusedError, ServerError
from keras_unet.export.client.formats import RawFormat

HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize("parts", [[HEADER, *[b" "] * 1000], [HEADER[:1], *[b"x"] * 1000]], ids=["body", "header"])
def test_the_timeout_is_that_of_an_answer_that_drips(parts):
    start = time.monotonic()
    with scripted(*parts) as server, Client(f"http://{server}", "cells", timeout=0.5, retries=0) as client:
        with pytest.raises(ServerError, match=r"Expected an answer from http://.* within 0.5 s. Received none"):
            client.versions()
        assert time.monotonic() - start < 10  # it would take 50


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["http://{}/", "ftp://{}/x", "//{}/", "http://[::bad/", "/elsewhere", ""])
def test_a_redirection_is_an_error_and_nothing_is_sent_elsewhere(status, target):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.05)
        location = target.format(f"localhost:{other.getsockname()[1]}")
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        sentence = rf"HTTP status {status}, a redirection, which is not followed: give the address of the server itself"
        with (
            scripted(answer, pause=0) as server,
            Client(f"http://{server}", "cells", headers={"Authorization": "Bearer secret"}) as client,
        ):
            with pytest.raises(ServerError, match=sentence):
                client.description()
            with pytest.raises(ServerError, match=sentence):
                client.versions()
        with pytest.raises(TimeoutError):
            other.accept()


ENDLESS = {
    "length": b"Content-Length: 3000000000\r\n\r\n",
    "no length": b"\r\n",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    "chunk of no size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("kind", ENDLESS)
def test_no_more_of_an_answer_is_read_than_may_be(kind, status):
    sent = []
    flood = (sent.append(1) or bytes(2**20) for _ in range(200))
    with (
        scripted(f"HTTP/1.1 {status} X\r\n".encode() + ENDLESS[kind], flood, pause=0) as server,
        Client(f"http://{server}", "cells", max_message_bytes=2**20) as client,
        pytest.raises(ServerError) as error,
    ):
        client.description()
    assert ("Expected an answer of at most 4194304 bytes" in str(error.value)) == (status == 200)
    assert len(sent) < 100  # what the sockets hold comes on top


def test_a_chunk_of_negative_length_is_no_http():
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}"
    with (
        scripted(answer, pause=0) as server,
        Client(f"http://{server}", "cells") as client,
        pytest.raises(ServerError, match=f"Expected HTTP from http://{server}"),
    ):
        client.description()


@pytest.mark.parametrize("limit", [None, 2**20, 2**30])
@pytest.mark.parametrize("num_classes", [1, 2, 30])
@pytest.mark.parametrize("width", [1, 200])
def test_the_longest_json_of_an_answer_that_was_planned_is_read(limit, num_classes, width):
    """Even where numbers have the digits of doubles, and brackets lines of their own, indented by eight."""
    value, client = -1.2345678901234567e-300, Client("http://localhost", "cells", max_message_bytes=limit)
    image = np.zeros((1, width, 1), np.float32)
    one, two = (
        len(json.dumps({"outputs": np.full((1, n, width, num_classes), value).tolist()}, indent=8)) for n in (1, 2)
    )
    longest = client._channel._longest("serving_default")
    planned = limit or RawFormat.usual_message_bytes(True)
    rows = int(planned / (width * RawFormat.bytes_per_pixel(image, num_classes, True)))
    assert rows * (two - one) < longest


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}", b"[" * 200_000, b"\xff", b'{"outputs":' + b"9" * 5000 + b"}"])
def test_an_answer_of_something_else_is_named(body):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with (
        scripted(answer, pause=0) as server,
        Client(f"http://{server}", "cells") as client,
        pytest.raises(ServerError, match=f"Expected JSON with 'outputs' from http://{server}"),
    ):
        client.description()


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"error": null}', b"[]", b""], ids=["deep", "null", "list", "empty"]
)
def test_an_error_without_text_is_told_by_its_status(body):
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with (
        scripted(answer, pause=0) as server,
        Client(f"http://{server}", "cells") as client,
        pytest.raises(RefusedError, match=r"^Bad Request$"),
    ):
        client.versions()


@pytest.mark.parametrize(
    ("outputs", "received"),
    [
        ([[[[True, False]]]], "Expected numbers or a list of texts. Received bool"),
        ([[[[1, True]]]], "Expected numbers or a list of texts. Received bool, int"),
        ([[[[10**400, 1]]]], "Expected numbers of 64 bits. Received larger ones"),
        ([[[[10**400, 0.5]]]], "Expected numbers of 64 bits. Received larger ones"),
        ([[[[None, 1]]]], "Expected numbers or a list of texts. Received NoneType, int"),
        ([[[[1, 2], [3]]]], "Expected numbers or a list of texts. Received list"),
        (nested(900), "Expected "),
        ([1] * 10_000 + ["x" * 1_000_000], "Expected numbers or a list of texts. Received int, str"),
        ("x", "Expected numbers or a list of texts. Received str"),
        (None, "Expected numbers or a list of texts. Received NoneType"),
        ([[[[-5, 7]]]], "Expected probabilities from 0 to 1. Received -5 to 7"),
        ([[[[0.1, 0.2, 0.7]]]], r"Expected probabilities of shape \(1, 1, 1, 2\). Received shape \(1, 1, 1, 3\)"),
        ([[[[0.1]]]], r"Expected probabilities of shape \(1, 1, 1, 2\). Received shape \(1, 1, 1, 1\)"),
        ([[[[]]]], "Expected probabilities of shape"),
        ([[[[float("nan"), 1]]]], "Expected finite probabilities"),
    ],
)
def test_raw_json_of_something_else_is_named(outputs, received, monkeypatch):
    client = Client("http://localhost:8501", "cells")
    description = json.dumps(DESCRIPTION)
    monkeypatch.setattr(
        client._channel,
        "_answer",
        lambda _key, _url, body, _longest: [description] if body["signature_name"] == "description" else outputs,
    )
    with pytest.raises(ServerError, match=received):
        client.segment(np.zeros((1, 1), np.float32))


@pytest.mark.parametrize(
    "statuses",
    [5, [{}], [{"version": "x", "state": "AVAILABLE"}], [{"version": float("inf"), "state": "x"}], nested(900)],
)
def test_versions_of_something_else_are_named(statuses, monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: statuses)
    with pytest.raises(ServerError, match="Expected versions from http://localhost:8501"):
        client.versions()
