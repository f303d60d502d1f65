"""What a server that is away, busy, another or wrongly addressed looks like, and what is tried again."""

import socket
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers.clients import address, connect, noise, schemes, scripted
from helpers.stand_in_server import HANG, StandIn

from keras_unet import export
from keras_unet.export.client import Client, RefusedError, ServerError
from keras_unet.export.client.parallel import with_retries


@schemes
def test_passing_faults_are_tried_again(server, scheme):
    image = noise(20, 20)
    with connect(address(server, scheme), "cells", retries=3) as client:
        client.description()
        server.faults.extend(["unavailable", "busy", "drop"])
        client.segment(image)
        assert len(server.requests) == 5
        server.faults.extend(["unavailable"] * 4)
        with pytest.raises(ServerError, match="UNAVAILABLE: injected"):
            client.segment(image)
        assert len(server.requests) == 9


@schemes
def test_a_server_that_hangs_is_tried_again_and_then_told(server, scheme):
    options = {"timeout": 0.75 * HANG, "retries": 1}
    server.faults.append("hang")
    with Client(address(server, scheme), "cells", **options) as client:
        assert client.description()["format"] == 1
    assert len(server.requests) == 2
    server.faults.extend(["hang"] * 2)
    sentence = r"Expected an answer from .* within 1.5 s. Received none"
    with Client(address(server, scheme), "cells", **options) as client, pytest.raises(ServerError, match=sentence):
        client.segment(noise(20, 20))
    assert len(server.requests) == 4


@pytest.mark.parametrize("body", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_an_answer_that_breaks_off_may_pass(body):
    with (
        scripted(b"HTTP/1.1 200 OK\r\n" + body, pause=0) as server,
        Client(f"http://{server}", "cells", retries=0) as client,
        pytest.raises(ServerError, match="UNAVAILABLE: IncompleteRead") as error,
    ):
        client.versions()
    assert error.value.retry


PORTS = r"speaks gRPC at port 8500 \(grpc://host:8500\) and REST at port 8501 \(http://host:8501\)\.$"


def test_ports_that_were_swapped_are_told_at_once(server):
    swapped = {address(server, "grpc").replace("grpc", "http"): "REST", server.rest.replace("http", "grpc"): "gRPC"}
    for url, protocol in swapped.items():
        with (
            Client(url, "cells", retries=100) as client,
            pytest.raises(ServerError, match=rf"^Expected {protocol} at {url}\. Received another .*{PORTS}"),
        ):
            client.segment(noise(5, 5))


def test_an_answer_of_plain_http_to_grpc_is_told_at_once():
    pytest.importorskip("grpc")
    with (
        scripted(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", pause=0) as server,
        Client(f"grpc://{server}", "cells", retries=100) as client,
        pytest.raises(ServerError, match=PORTS),
    ):
        client.versions()


@schemes
def test_a_refusal_is_the_servers_sentence_and_is_not_tried_again(servers, scheme):
    server = servers["pair"]
    server.requests.clear()
    images = {"images": noise(5, 5, 3, np.float32)[None]}
    sentence = r"^Expected images of shape .* Received shape \(1, 5, 5, 3\)\.$"
    with Client(address(server, scheme), "pair") as client, pytest.raises(RefusedError, match=sentence):
        with_retries(lambda: client._channel.predict("classes", images, ["classes"]), 3)
    assert len(server.requests) == 1


@schemes
def test_what_is_not_there_is_told_in_a_sentence(server, scheme):
    url = address(server, scheme)
    closed = url.replace(url.rpartition(":")[2], "1")
    for wrong, model, version, sentence in [
        (closed, "cells", None, "Expected an answer from .*:1. Received UNAVAILABLE"),
        (url, "cell", None, "Expected a model 'cell' at .* Received: Servable not found"),
        (url, "cells", 7, "Expected a model 'cells' with version 7 at"),
        (url, "cells", "canary", "Expected a model 'cells' with version 'canary' at"),
    ]:
        with Client(wrong, model, version=version, retries=0) as client, pytest.raises(ServerError, match=sentence):
            client.segment(noise(5, 5))


@schemes
def test_a_model_that_does_not_describe_itself_is_refused(tmp_path, scheme):
    module = tf.Module()
    module.f = tf.function(lambda images: {"x": images}, input_signature=[tf.TensorSpec(None, tf.float32, "images")])
    tf.saved_model.save(module, str(tmp_path / "other" / "1"), signatures={"serving_default": module.f})
    server = StandIn(tmp_path / "other")
    with Client(address(server, scheme), "other") as client, pytest.raises(ServerError, match="exported by keras_unet"):
        client.segment(noise(5, 5))
    server.close()


def test_an_error_whose_body_breaks_off_is_retried():
    listener = socket.create_server(("127.0.0.1", 0))
    served = []

    def serve():
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                served.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 500\r\n\r\nabc")

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url, "cells", retries=1) as client, pytest.raises(ServerError, match="UNAVAILABLE|Expected"):
        client.versions()
    thread.join(60)
    listener.close()
    assert len(served) == 2


def test_a_sentence_is_found_in_time_in_a_text_of_any_length():
    start = time.process_time()
    for text in ("Expected " * 400_000, "Expected \n" * 400_000, "Expected a Received " * 100_000, "x" * 4_000_000):
        assert len(export.sentence(text)) <= 4200
    assert time.process_time() - start < 5  # seconds of this process, whatever else runs; minutes if it were quadratic
    far = "x" * 10_000 + "\n" + "y" * 10_000 + "assertion failed: [Expected a. Received b.] [[{{node c}}]]"
    assert export.sentence(far) == "Expected a. Received b."


def test_an_error_in_the_users_code_is_not_blamed_on_the_description(monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "predict", lambda *_: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        client.description()


def test_tls_where_there_is_none_is_told_without_retries(server):
    with (
        Client(server.rest.replace("http:", "https:"), "cells", retries=5) as client,
        pytest.raises(ServerError, match=r"Expected TLS at .* is it http:// there\?"),
    ):
        client.description()
    assert len(server.requests) == 0
