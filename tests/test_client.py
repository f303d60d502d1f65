"""The client against a stand-in for TensorFlow Serving: what travels, what is joined, what a fault looks like."""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image
from stand_in_server import HANG, StandIn

from keras_unet import export, image_io
from keras_unet.export.client import Client, RefusedError, Segmentation, ServerError, parallel, pieces
from keras_unet.export.client.addresses import read_address
from keras_unet.export.client.formats import PngFormat, RawFormat, fitting_pixels
from keras_unet.export.client.parallel import with_retries
from keras_unet.geometry import Geometry
from keras_unet.instances import instances
from keras_unet.tiling import predict
from keras_unet.unet import UNet

TILE = 68
QUANTUM = 1 / 65535  # of a probability that travels as PNG


def noise(height, width, channels=1, dtype=np.uint8, seed=0):
    high = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 255
    return np.random.default_rng(seed).integers(0, high, (height, width, channels), endpoint=True).astype(dtype)


def net(channels=1, num_classes=2, seed=0, **changes):
    keras.utils.set_random_seed(seed)
    return UNet((None, None, channels), num_classes, filters=2, depth=2, **changes)


def save(model, base, **options):
    return export.save(model, base, tile=TILE, verify=False, **options)


@pytest.fixture(scope="module")
def models():
    """16 bit, colour, and one with two channels, which PNG does not hold."""
    return {
        "cells": (net(value_range=(0, 65535)), "uint16", {"threshold": 0.52}),
        "colour": (net(3, 3, value_range=(0, 255), seed=1, padding="same"), "float32", None),
        "pair": (net(2, 1, value_range=(0, 255), seed=2, upsampling="bilinear"), "float32", None),
    }


@pytest.fixture(scope="module")
def servers(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    running = {}
    for name, (model, dtype, metadata) in models.items():
        save(model, folder / name, input_dtype=dtype, metadata=metadata)
        running[name] = StandIn(folder / name, labels={"stable": 1})
    yield running
    for server in running.values():
        server.close()


@pytest.fixture
def server(servers):
    servers["cells"].faults.clear()
    servers["cells"].requests.clear()
    return servers["cells"]


connect = partial(Client, timeout=600.0)  # a busy machine is no fault


def address(server, scheme):
    if scheme == "grpc":
        pytest.importorskip("tensorflow_serving.apis")
    return getattr(server, scheme)


schemes = pytest.mark.parametrize("scheme", ["rest", "grpc"])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(parallel, "_FIRST_PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy would not know this loopback


@schemes
@pytest.mark.parametrize(
    ("name", "dtype", "signature"),
    [
        ("cells", np.uint8, "image_bytes"),
        ("cells", np.uint16, "image_bytes"),
        ("colour", np.uint8, "image_bytes"),
        ("colour", np.float32, "serving_default"),
        ("pair", np.uint8, "serving_default"),
    ],
)
def test_a_served_image_is_segmented_as_predict_does(models, servers, scheme, name, dtype, signature):
    model, *_ = models[name]
    image = noise(37, 53, model.channels, dtype)
    servers[name].requests.clear()
    with connect(address(servers[name], scheme), name) as client:
        result = client.segment(image)
    assert servers[name].requests == [("description", 1), (signature, 1)]
    expected = predict(model, image, tile=TILE)
    one_class = model.num_classes == 1
    foreground = expected[..., 0] if one_class else 1 - expected[..., 0]
    np.testing.assert_array_equal(result.classes, foreground > 0.5 if one_class else expected.argmax(-1))
    assert result.classes.dtype == np.uint8
    assert result.foreground.dtype == np.float32
    tolerance = 1e-6 if signature == "serving_default" else QUANTUM
    np.testing.assert_allclose(result.foreground, foreground, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("scheme", "name", "form"),
    [
        ("rest", "cells", PngFormat),
        ("grpc", "cells", PngFormat),
        ("grpc", "cells", RawFormat),
        ("rest", "colour", RawFormat),
        ("grpc", "colour", PngFormat),
        ("grpc", "pair", RawFormat),
    ],
)
def test_pieces_give_what_the_whole_image_gives(models, servers, scheme, name, form):
    model, server = models[name][0], servers[name]
    image = noise(150, 130, model.channels, np.uint16 if name == "cells" else np.uint8)
    limit = 4096 + int(95 * 95 * form.bytes_per_pixel(image, model.num_classes, scheme == "rest"))
    options = {"signature": form.signature, "concurrency": 2}
    server.requests.clear()
    with connect(address(server, scheme), name, **options, max_message_bytes=2**28) as client:
        whole = client.segment(image)
    assert len(server.requests) == 2
    with connect(address(server, scheme), name, **options, max_message_bytes=limit) as client:
        joined = client.segment(image)
    assert len(server.requests) > 6
    np.testing.assert_array_equal(joined.classes, whole.classes)
    np.testing.assert_array_equal(joined.foreground, whole.foreground)


def told(geometry):
    return {
        "geometry": {"depth": geometry.depth, "padding": geometry.padding, "upsampling": geometry.upsampling},
    }


def test_the_papers_net_needs_a_context_of_its_92_pixels_rounded_up_to_its_stride():
    assert pieces.stride_and_context(told(Geometry())) == (16, 96)


def block_net(image, stride, blocks):
    """What a U-Net is to its input, in integers: sees so many blocks of stride by stride pixels around each block."""
    margin = blocks * stride
    padding = [(margin, margin + -size % stride) for size in image.shape]
    coarse = np.pad(image, padding, mode="reflect")
    coarse = coarse.reshape(coarse.shape[0] // stride, stride, coarse.shape[1] // stride, stride).max(axis=(1, 3))
    side = 2 * blocks + 1
    windows = np.lib.stride_tricks.sliding_window_view(coarse, (side, side))
    sums = np.einsum("rcij,ij->rc", windows, np.arange(1, side**2 + 1).reshape(side, side))
    return np.kron(sums, np.ones((stride, stride), int))[: image.shape[0], : image.shape[1]] * 1000 + image


@pytest.mark.parametrize("size", [(1, 900), (900, 3), (197, 231), (256, 160)])
@pytest.mark.parametrize("geometry", [Geometry(1), Geometry(2), Geometry(2, "same"), Geometry(3, "valid", "bilinear")])
def test_joined_pieces_have_no_seam_where_a_smaller_context_would(geometry, size):
    image = np.random.default_rng(0).integers(0, 1000, size)
    stride, context = pieces.stride_and_context(told(geometry))
    room = 2 * pieces.fewest_pixels(*size, stride, context)

    def net(pixels):
        return block_net(pixels, stride, context // stride)

    def joined(context):
        result = np.full(size, -1)
        plan = pieces.plan(*size, stride, context, room)
        assert len(plan) > 1
        for piece in plan:
            result[piece.kept] = net(image[piece.sent])[piece.answer]
        return result

    np.testing.assert_array_equal(joined(context), net(image))
    assert (joined(context - stride) != net(image)).any()


@pytest.mark.parametrize("max_pixels", [10_000, 40_000, 39_999])
@pytest.mark.parametrize("size", [(200, 200), (1, 60_000), (60_000, 1), (90, 1000)])
def test_a_plan_covers_the_image_once_in_messages_that_fit(size, max_pixels):
    counts = np.zeros(size, int)
    for piece in pieces.plan(*size, 16, 32, max_pixels):
        counts[piece.kept] += 1
        rows, columns = piece.sent
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= max_pixels
        assert rows.start % 16 == columns.start % 16 == 0
    assert (counts == 1).all()


def test_a_message_without_room_for_any_piece_is_refused(server):
    with Client(server.rest, "cells", max_message_bytes=5000) as client:
        with pytest.raises(ValueError, match=r"Expected max_message_bytes of at least (\d+)") as refused:
            client.segment(noise(150, 190))
        smallest = int(str(refused.value).split("at least ")[1].split()[0])
    with connect(server.rest, "cells", max_message_bytes=smallest, concurrency=2) as client:
        assert client.segment(noise(20, 70)).classes.shape == (20, 70)


@pytest.mark.parametrize(
    ("scheme", "form", "limit"),
    [("http", PngFormat, 4), ("grpc", PngFormat, 4), ("grpc", RawFormat, 4), ("http", RawFormat, 64)],
)
def test_a_message_is_by_default_of_4_mib_and_of_64_for_raw_pixels_over_rest(scheme, form, limit):
    """Of the paper's net the smallest piece is 208 x 208 pixels: as JSON alone longer than 4 MiB."""
    if scheme == "grpc":
        pytest.importorskip("grpc")
    description = {**told(Geometry()), "num_classes": 2, "max_pixels": 2**26}
    image = np.zeros((3000, 3000, 1), np.float32 if form is RawFormat else np.uint16)
    with Client(f"{scheme}://localhost", "cells") as client:
        parts = client._pieces(image, form, description)
    pixels = max(image[part.sent].size for part in parts)
    sent = pixels * form.bytes_per_pixel(image, 2, scheme == "http")
    assert limit / 2 * 1024**2 < sent <= limit * 1024**2
    smallest = 208 * 208 * RawFormat.bytes_per_pixel(image, 2, True)
    assert 4 * 1024**2 < smallest < 64 * 1024**2


@pytest.mark.parametrize("extra", [0, -200])
def test_a_server_takes_every_message_up_to_its_limit(models, servers, extra):
    """Noise does not compress: what PNG adds has to be in the sum."""
    pytest.importorskip("tensorflow_serving.apis")
    limit = 4096 + int(140 * 140 * PngFormat.bytes_per_pixel(np.zeros((1, 1, 1), np.uint16), 2, False)) + 1 + extra
    server = StandIn(servers["cells"].base, max_message_bytes=limit)
    image = noise(140, 140, 1, np.uint16)
    with connect(server.grpc, "cells", max_message_bytes=limit) as client:
        result = client.segment(image)
    server.close()
    assert len(server.requests) == 2 if extra == 0 else len(server.requests) > 2
    np.testing.assert_array_equal(result.classes, predict(models["cells"][0], image, tile=TILE).argmax(-1))


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
                connection.recv(65536)
                for part in parts:
                    for piece in [part] if isinstance(part, bytes) else part:
                        connection.sendall(piece)
                    time.sleep(pause)

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


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


@pytest.mark.parametrize("body", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_an_answer_that_breaks_off_may_pass(body):
    with (
        scripted(b"HTTP/1.1 200 OK\r\n" + body, pause=0) as server,
        Client(f"http://{server}", "cells", retries=0) as client,
        pytest.raises(ServerError, match="UNAVAILABLE: IncompleteRead") as error,
    ):
        client.versions()
    assert error.value.retry


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
def test_versions_and_labels_are_asked_for(server, scheme):
    for version in (None, 1, "stable"):
        with Client(address(server, scheme), "cells", version=version) as client:
            assert client.description()["input"]["dtype"] == "uint16"
            assert client.versions() == {1: "AVAILABLE"}
    with Client(address(server, scheme), "cell", retries=0) as client, pytest.raises(ServerError, match="'cell'"):
        client.versions()


@schemes
def test_a_model_that_does_not_describe_itself_is_refused(tmp_path, scheme):
    module = tf.Module()
    module.f = tf.function(lambda images: {"x": images}, input_signature=[tf.TensorSpec(None, tf.float32, "images")])
    tf.saved_model.save(module, str(tmp_path / "other" / "1"), signatures={"serving_default": module.f})
    server = StandIn(tmp_path / "other")
    with Client(address(server, scheme), "other") as client, pytest.raises(ServerError, match="exported by keras_unet"):
        client.segment(noise(5, 5))
    server.close()


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
    "outputs",
    [
        None,
        5,
        [],
        ["[]"],
        ["null"],
        ['{"format": 1}'],
        [1],
        [[]],
        [{"x": "y"}],
        ["x", 5],
        [{"b64": 5}],
        ["[" * 200_000],
    ],
)
def test_a_description_of_something_else_is_named(outputs, monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: outputs)
    with pytest.raises(ServerError, match="Expected"):
        client.description()


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 2),
        ("format", nested(900)),
        *[("input", value) for value in (None, "x", [], {})],
        *[("input.dtype", value) for value in (None, "banana", "object", "float64", 5, ["uint8"])],
        *[("input.channels", value) for value in (None, "1", 0, -1, 1.0, True, nested(900))],
        *[("input.value_range", value) for value in ("x", [0], [0, None], [0, float("nan")], [0, 10**400])],
        *[("num_classes", value) for value in (None, "2", 0, -5, True, 10**9)],
        *[("geometry", value) for value in (None, "x", [], {})],
        *[("geometry.depth", value) for value in (None, "2", -1, 0, 30, 10**9, nested(900))],
        *[("geometry.padding", value) for value in (None, "x", ["same"])],
        *[("geometry.upsampling", value) for value in (None, "x", {})],
        *[("max_pixels", value) for value in (None, "x", 0, -1, 0.5)],
        ("metadata", None),
    ],
)
def test_a_description_that_no_exported_model_has_is_refused_where_it_is_read(name, value, monkeypatch):
    first, _, second = name.partition(".")
    changed = {**DESCRIPTION, first: {**DESCRIPTION[first], second: value} if second else value}
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: [json.dumps(changed)])
    with pytest.raises(ServerError, match=rf"^Expected .*\b{name}\b.*\. Received .*\.$") as refused:
        client.segment(noise(8, 9))
    assert len(str(refused.value)) < 400


def test_an_exported_models_description_is_taken(monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: [json.dumps(DESCRIPTION)])
    assert client.description() == DESCRIPTION


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


@pytest.mark.parametrize(
    ("labels", "probability"), [(np.uint16, np.uint16), (np.uint8, np.uint8)], ids=["labels", "probability"]
)
def test_pictures_of_other_depths_are_no_answer(labels, probability):
    files = [cv2.imencode(".png", np.ones((3, 4), kind))[1].tobytes() for kind in (labels, probability)]
    answer = {name: np.array([file], object) for name, file in zip(PngFormat.outputs, files, strict=True)}
    with pytest.raises(ServerError, match="Expected one grey uint"):
        PngFormat.result(answer, (3, 4), 2)


def declared_png(height, width, bits):
    """A PNG file of a few bytes that declares a size; cut off after its first kilobyte of zeros."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(60_000, 60_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (9, 8)])
def test_a_picture_that_declares_another_size_is_not_decoded(size, monkeypatch):
    monkeypatch.delattr(cv2, "imdecode")
    files = declared_png(*size, 8), declared_png(*size, 16)
    answer = {name: np.array([file], object) for name, file in zip(PngFormat.outputs, files, strict=True)}
    with pytest.raises(ServerError, match=rf"of \(8, 9\) pixels. Received \({size[0]}, {size[1]}\) in label_png_bytes"):
        PngFormat.result(answer, (8, 9), 2)


def test_what_opencv_gives_up_at_is_no_answer():
    answer = {name: np.array([declared_png(60_000, 60_000, 8)], object) for name in PngFormat.outputs}
    with pytest.raises(ServerError, match="Expected one grey uint8 PNG in label_png_bytes. Received something else"):
        PngFormat.result(answer, (60_000, 60_000), 2)


@pytest.mark.parametrize(("num_classes", "last"), [(1, 1), (2, 1), (3, 2)])
def test_labels_of_classes_that_the_model_has_not_are_no_answer(num_classes, last):
    def answer(label):
        files = np.full((3, 4), label, np.uint8), np.ones((3, 4), np.uint16)
        encoded = (np.array([cv2.imencode(".png", file)[1].tobytes()], object) for file in files)
        return dict(zip(PngFormat.outputs, encoded, strict=True))

    assert (PngFormat.result(answer(last), (3, 4), num_classes).classes == last).all()
    with pytest.raises(ServerError, match=f"Expected classes up to {last}. Received {last + 1}"):
        PngFormat.result(answer(last + 1), (3, 4), num_classes)


def test_probabilities_that_are_not_finite_are_no_answer():
    with pytest.raises(ServerError, match="Expected finite probabilities"):
        RawFormat.result({"probabilities": np.full((1, 2, 3, 2), np.nan)}, (2, 3), 2)


@pytest.mark.parametrize("dtype", [object, bool])
def test_probabilities_that_are_no_numbers_are_told_by_their_dtype(dtype):
    with pytest.raises(ServerError, match=f"Expected probabilities in numbers. Received .* {np.dtype(dtype)}"):
        RawFormat.result({"probabilities": np.zeros((1, 2, 3, 2), dtype)}, (2, 3), 2)


def test_probabilities_are_taken_with_the_rounding_of_bfloat16():
    result = RawFormat.result({"probabilities": np.full((1, 2, 3, 1), 1 + 1 / 256)}, (2, 3), 1)
    assert (result.foreground == 1).all()


def test_a_sentence_is_found_in_time_in_a_text_of_any_length():
    start = time.monotonic()
    for text in ("Expected " * 400_000, "Expected \n" * 400_000, "Expected a Received " * 100_000, "x" * 4_000_000):
        assert len(export.sentence(text)) <= 4200
    assert time.monotonic() - start < 5  # seconds; minutes if it were quadratic
    far = "x" * 10_000 + "\n" + "y" * 10_000 + "assertion failed: [Expected a. Received b.] [[{{node c}}]]"
    assert export.sentence(far) == "Expected a. Received b."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"timeout": float("nan")}, "timeout above 0"),
        ({"timeout": float("inf")}, "timeout above 0"),
        ({"headers": {"a b": "x"}}, "letters, digits and hyphens"),
        ({"headers": {"Authorization": "Bearer \u20ac"}}, "printable ASCII"),
        ({"headers": {"A": "x\ny"}}, "printable ASCII"),
        ({"url": "localhost:8501"}, "Expected an address such as"),
        ({"url": "ftp://localhost"}, "Expected an address such as"),
        ({"signature": "classes"}, "image_bytes, serving_default"),
        ({"max_message_bytes": 0}, "max_message_bytes from 1"),
        ({"max_message_bytes": 2**31}, "max_message_bytes from 1 to 2147483647"),
        ({"url": "grpc://localhost", "max_message_bytes": 2**40}, "max_message_bytes from 1 to 2147483647"),
        ({"version": 10**20}, "Expected a version up to 9223372036854775807"),
        ({"version": 2**63}, "Expected a version up to"),
        ({"version": -1}, "Expected a whole number of at least 0 for version"),
        ({"version": 1.5}, "Expected a whole number"),
        ({"version": ""}, "Expected a label of a version of at least one character"),
        ({"version": "\ud800"}, "Expected a label of a version"),
        ({"model": ""}, "Expected a model of at least one character"),
        ({"model": "\ud800"}, "Expected a model"),
        ({"url": "grpc://localhost", "headers": {"a-bin": "x"}}, "which gRPC keeps for itself. Received 'a-bin'"),
        ({"url": "grpc://localhost", "headers": {"Grpc-Foo": "x"}}, "which gRPC keeps for itself"),
        ({"timeout": 0}, "timeout above 0"),
        ({"retries": -1}, "retries from 0"),
        ({"concurrency": 0}, "concurrency from 1"),
    ],
)
def test_illegal_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Client(**{"url": "http://localhost", "model": "cells", **arguments})


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@host:8501",
        "grpc://user:secret@host",
        "https://user:se/cret@host",
        "user:secret@host",
        "http://secret@host",
        "ftp://user:secret@[",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_told(url):
    with pytest.raises(ValueError, match="without user and password, which travel as headers=") as refused:
        Client(url, "cells")
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs"])
@pytest.mark.parametrize(
    "rest",
    [
        "host:99999",
        "host:0",
        "host:-1",
        "host:abc",
        "127.0.0.1:abc",
        "host:1:2",
        "host?x=1",
        "host:80#f",
        "host:80/?x=1",
        "[::1",
        "::1]:80",
        "[::1]x:80",
        "[banana]",
        "a b:80",
        "a\tb",
        " host",
        "host\n",
        "h\u00e9\u2603",
        "a..b",
        f"{'a' * 64}.com",
        ".".join(["a" * 60] * 5),
        ":80",
        "/x",
        "",
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_once(scheme, rest):
    with pytest.raises(
        ValueError, match=r"^Expected an address such as http://host:8501 or grpc://host:8500\. Received"
    ):
        Client(f"{scheme}://{rest}", "cells")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://host:8501/v1/models/cells", "Expected the address of the server alone"),
        ("grpc://host:8500/behind", "without a path"),
    ],
)
def test_an_address_with_a_path_is_told_what_it_should_be(url, sentence):
    with pytest.raises(ValueError, match=sentence):
        Client(url, "cells")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://host", "http://host"),
        ("HTTP://under_score.local.:8501/", "HTTP://under_score.local.:8501"),
        ("https://host/behind/a/proxy/", "https://host/behind/a/proxy"),
        ("http://[::1]:8501", "http://[::1]:8501"),
        ("grpc://host", "host:8500"),
        ("grpc://host:/", "host:8500"),
        ("grpcs://10.0.0.1:9", "10.0.0.1:9"),
        ("grpc://[::1]", "[::1]:8500"),
        ("grpc://[fe80::1%eth0]:65535", "[fe80::1%eth0]:65535"),
    ],
)
def test_addresses_of_every_kind_are_read(url, place):
    assert read_address(url) == (url.partition(":")[0].lower(), place)


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


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (noise(5, 5, 3), r"shape \(height, width, 1\)"),
        (np.zeros((0, 5, 1), np.uint8), "at least one pixel"),
        (np.zeros((1, 5, 5, 1), np.uint8), "Received shape"),
        (noise(5, 5, 1, np.int16), "Expected uint16 pixels as chosen at export. Received int16"),
        (np.zeros((5, 5), np.float32), "Received float32"),
    ],
)
def test_images_that_do_not_fit_are_refused_before_they_travel(server, image, sentence):
    with Client(server.rest, "cells") as client:
        client.description()
        server.requests.clear()
        with pytest.raises(ValueError, match=sentence):
            client.segment(image)
        assert server.requests == []


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_pixels_beyond_float32_are_refused(value):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="finite pixel values"):
        fitting_pixels(np.full((2, 2), value), {"input": {"channels": 1, "dtype": "float32"}})


def test_raw_16_bit_pixels_need_grpc(servers):
    client = Client(servers["cells"].rest, "cells", signature="serving_default")
    with client, pytest.raises(ValueError, match="Expected a gRPC address"):
        client.segment(noise(5, 5, 1, np.uint16))


def test_image_files_are_read_as_the_library_reads_them(models, servers, tmp_path):
    model, *_ = models["cells"]
    image = noise(21, 30, 1, np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", image[..., 0], byteorder=">", compression="lzw")
    cv2.imwrite(str(tmp_path / "deep.png"), image)
    with Client(servers["cells"].rest, "cells") as client:
        results = list(client.segment_all([tmp_path / "deep.tif", str(tmp_path / "deep.png"), image]))
    for result in results:
        np.testing.assert_array_equal(result.classes, results[2].classes)
        np.testing.assert_array_equal(result.foreground, results[2].foreground)


def test_ordered_map_keeps_order_reads_little_ahead_and_passes_errors_on():
    read = []

    def items():
        for number in range(20):
            read.append(number)
            yield number

    results = parallel.ordered_map(lambda number: 1 // (15 - number) or number, items(), 3)
    assert next(results) == 0
    assert len(read) <= 5
    assert list(zip(range(9), results, strict=False))
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_headers_travel(server, monkeypatch):
    seen = []
    handler = server._http.RequestHandlerClass
    answered = handler._answered

    def spy(self, answer):
        seen.append(self.headers["Authorization"])
        answered(self, answer)

    monkeypatch.setattr(handler, "_answered", spy)
    with Client(server.rest, "cells", headers={"Authorization": "Bearer secret"}) as client:
        client.versions()
    assert seen == ["Bearer secret"]


class TestMessages:
    """Our declaration of TensorFlow Serving's messages against the real ones."""

    @pytest.fixture(autouse=True)
    def real(self):
        pytest.importorskip("tensorflow_serving.apis")

    def test_every_field_is_that_of_the_real_message(self):
        from google.protobuf.descriptor import FieldDescriptor
        from tensorflow.core.framework import tensor_pb2
        from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

        from keras_unet.export.client import protos

        def compare(own, real):
            for field in own.fields:
                other = real.fields_by_name[field.name]
                is_enum = other.type == FieldDescriptor.TYPE_ENUM
                assert field.number == other.number, field.full_name
                assert field.type == (FieldDescriptor.TYPE_INT32 if is_enum else other.type), field.full_name
                assert field.is_repeated == other.is_repeated, field.full_name
                if field.message_type:
                    compare(field.message_type, other.message_type)

        compare(protos.TensorProto.DESCRIPTOR, tensor_pb2.TensorProto.DESCRIPTOR)
        compare(protos.PredictRequest.DESCRIPTOR, predict_pb2.PredictRequest.DESCRIPTOR)
        compare(protos.PredictResponse.DESCRIPTOR, predict_pb2.PredictResponse.DESCRIPTOR)
        for name in ("GetModelStatusRequest", "GetModelStatusResponse"):
            compare(getattr(protos, name).DESCRIPTOR, getattr(get_model_status_pb2, name).DESCRIPTOR)
        states = get_model_status_pb2.ModelVersionStatus.State.items()
        assert dict(states) == {"UNKNOWN": 0, **{name: number for number, name in protos.VERSION_STATES.items()}}

    def test_a_request_has_the_bytes_of_the_real_one(self):
        from tensorflow_serving.apis import predict_pb2

        from keras_unet.export.client import protos

        array = noise(3, 4, 2, np.uint16)
        own = protos.PredictRequest(output_filter=["probabilities"])
        own.model_spec.name, own.model_spec.signature_name = "cells", "serving_default"
        own.model_spec.version.value = 3
        own.inputs["images"].CopyFrom(protos.to_proto(array))
        real = predict_pb2.PredictRequest(output_filter=["probabilities"])
        real.model_spec.name, real.model_spec.signature_name = "cells", "serving_default"
        real.model_spec.version.value = 3
        tensor = real.inputs["images"]
        tensor.dtype, tensor.tensor_content = tf.uint16.as_datatype_enum, array.tobytes()
        tensor.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
        assert own.SerializeToString(deterministic=True) == real.SerializeToString(deterministic=True)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "int64", "float32", "float64", "object"])
    @pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
    def test_tensors_survive_the_way_through_tensorflows_own(self, dtype, shape):
        from tensorflow.core.framework import tensor_pb2

        from keras_unet.export.client import protos

        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        if dtype == "object":
            array = np.array([f"é{i}".encode() for i in range(array.size)], object).reshape(shape)
        read = tf.make_ndarray(tensor_pb2.TensorProto.FromString(protos.to_proto(array).SerializeToString()))
        np.testing.assert_array_equal(read, array)
        real = tf.make_tensor_proto(array.tolist(), dtype=tf.string if dtype == "object" else dtype, shape=shape)
        own = protos.TensorProto.FromString(real.SerializeToString())
        np.testing.assert_array_equal(protos.to_array(own), array)

    def test_equal_values_given_once_are_repeated(self):
        from keras_unet.export.client import protos

        real = tf.make_tensor_proto(0.25, shape=(2, 3), dtype=tf.float32)
        own = protos.TensorProto.FromString(real.SerializeToString())
        np.testing.assert_array_equal(protos.to_array(own), np.full((2, 3), 0.25, np.float32))


FLOAT32, UINT8, STRING = 1, 4, 7  # TensorFlow's numbers


@pytest.mark.parametrize(
    ("dtype", "shape", "fields", "received"),
    [
        (FLOAT32, (1, 20_000, 30_000, 2), {}, "Received 0"),
        (FLOAT32, (1, 10**6, 10**6, 1), {"float_val": [0.5]}, "Received 1"),
        (FLOAT32, (2**32, 2**32), {}, "Received 0"),
        (FLOAT32, (2**62, 4), {}, "Received 0"),
        (FLOAT32, (0, 2**62, 2**62), {}, "possible shape"),
        (STRING, (10**9,), {"string_val": [b"x"]}, "Received 1"),
        (FLOAT32, (1, 2, 3), {"float_val": [0.5] * 7}, "Expected 6 float32 values, as the shape says. Received 7"),
        (FLOAT32, (1, -1, 3), {"float_val": [0.5] * 3}, r"known shape .* Received shape \[1, -1, 3\]"),
        (FLOAT32, (-1, -1), {"float_val": [0.5]}, "known shape"),
        (FLOAT32, (1,) * 200, {"float_val": [0.5]}, "up to 32 axes"),
        (FLOAT32, (1, 2), {"tensor_content": b"abc"}, r"bytes of float32 values of shape \[1, 2\]. Received 3 bytes"),
        (FLOAT32, (1, 2), {"tensor_content": b"abcd"}, "Received 4 bytes"),
        (FLOAT32, (1, 2), {"tensor_content": bytes(12)}, "Received 12 bytes"),
        (STRING, (1,), {"tensor_content": b"12345678"}, "Received 8 bytes"),
        (UINT8, (1,), {"int_val": [300]}, "Expected uint8 values. Received others"),
        (UINT8, (1,), {"int_val": [-1]}, "Expected uint8 values. Received others"),
        (0, (1,), {}, "dtype 0"),
        (99, (1,), {}, "dtype 99"),
        (-1, (1,), {}, "dtype -1"),
    ],
)
def test_a_tensor_that_is_not_what_it_declares_is_the_servers_fault(dtype, shape, fields, received, monkeypatch):
    pytest.importorskip("grpc")
    from keras_unet.export.client import protos

    def answer(request, **_):
        if request.model_spec.signature_name == "description":
            response, text = protos.PredictResponse(), json.dumps(DESCRIPTION).encode()
            response.outputs["description"].CopyFrom(protos.to_proto(np.array([text], object)))
            return response
        response = protos.PredictResponse()
        tensor = response.outputs["probabilities"]
        tensor.dtype = dtype
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        for name, value in fields.items():
            tensor.MergeFrom(protos.TensorProto(**{name: value}))
        return response

    client = Client("grpc://localhost", "cells")
    monkeypatch.setattr(client._channel, "_predict", answer)
    with pytest.raises(ServerError, match=received) as error:
        client.segment(np.zeros((1, 1), np.float32))
    assert not isinstance(error.value, ValueError)


NO_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "tf_keras"):
    sys.modules[name] = None
"""


def test_the_client_loads_neither_tensorflow_nor_scipy():
    code = NO_TENSORFLOW + "import keras_unet.export.client; print('scipy' in sys.modules, 'grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


def command(*arguments):
    """`keras-unet segment` where TensorFlow cannot be imported."""
    code = (
        NO_TENSORFLOW + f"sys.argv[1:] = {['segment', *map(str, arguments)]!r}; from keras_unet.cli import main; main()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)


@schemes
@pytest.mark.parametrize("objects", [[], ["--instances"]])
def test_the_command_writes_labels_foreground_overlay_and_instances(models, server, tmp_path, scheme, objects):
    image = noise(33, 47)
    Image.fromarray(image[..., 0]).save(tmp_path / "one.png")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([image[..., 0]] * 2), photometric="minisblack")
    files = (tmp_path / "one.png", tmp_path / "stack.tif")
    url, out = address(server, scheme), tmp_path / "out"
    done = command(url, *files, "--model", "cells", "--version", "stable", "--out", out, *objects)
    assert done.returncode == 0, done.stderr
    kinds = ["labels.png", "foreground.tif", "overlay.png"] + ["instances.tif"] * len(objects)
    stems = ("one", "stack_0000", "stack_0001")
    names = {f"{stem}_{kind}" for stem in stems for kind in kinds}
    assert {path.name for path in out.iterdir()} == names
    assert names <= {Path(line).name for line in done.stdout.splitlines()}
    expected = predict(models["cells"][0], image, tile=TILE)
    np.testing.assert_array_equal(image_io.read_labels(out / "stack_0001_labels.png"), expected.argmax(-1))
    foreground = image_io.read_image(out / "one_foreground.tif")[..., 0]
    np.testing.assert_allclose(foreground, 1 - expected[..., 0], rtol=0, atol=QUANTUM)
    if objects:
        found = instances(foreground, 0.52, grow=1)  # the threshold in the description
        np.testing.assert_array_equal(image_io.read_labels(out / "one_instances.tif"), found)


def test_the_command_warns_of_pixels_far_from_the_models(server, tmp_path):
    Image.fromarray(noise(9, 9)[..., 0]).save(tmp_path / "8-bit.png")
    cv2.imwrite(str(tmp_path / "16-bit.png"), noise(9, 9, 1, np.uint16))
    files = (tmp_path / "8-bit.png", tmp_path / "16-bit.png")
    done = command(server.rest, *files, "--model", "cells", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "far from" in line]
    assert len(told) == 1
    assert "8-bit.png" in told[0]
    assert "(uint8), are far from the 0 to 65535 of" in told[0]


def test_the_command_ends_in_one_sentence_and_status_1(server, tmp_path):
    Image.fromarray(noise(9, 9)[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(noise(9, 9, 3)).save(tmp_path / "colour.png")
    for arguments, sentence in [
        ((server.rest, tmp_path / "colour.png", "--model", "cells"), "colour.png: Expected an image of shape"),
        ((server.rest, tmp_path / "grey.png", "--model", "cell"), "Expected a model 'cell'"),
        (("http://127.0.0.1:1", tmp_path / "grey.png", "--model", "cells", "--retries", "0"), "UNAVAILABLE"),
        ((server.rest, tmp_path / "none.png", "--model", "cells"), "not found"),
        (("server", tmp_path / "grey.png", "--model", "cells"), "Expected an address"),
        (
            (server.rest, tmp_path / "grey.png", "--model", "cells", "--max-message-bytes", 2**31),
            "Expected max_message_bytes from 1 to 2147483647",
        ),
    ]:
        done = command(*arguments, "--out", tmp_path / "out")
        assert done.returncode == 1, done.stderr
        lines = done.stderr.strip().splitlines()
        assert lines[-1].startswith("keras-unet: ")
        assert sentence in lines[-1]
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_the_server_refuses_does_not_keep_the_others_from_being_segmented(server, tmp_path):
    (tmp_path / "images").mkdir()
    for name, channels in (("a", 1), ("b", 3), ("d", 1)):
        Image.fromarray(noise(9, 9, channels).squeeze()).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "c.png").write_text("no image")
    done = command(server.rest, tmp_path / "images", "--model", "cells", "--out", tmp_path / "out")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    told = [line for line in lines if line.startswith("keras-unet: ") and "are far from" not in line]
    assert {name for name in "abcd" if any(f"{name}.png" in line for line in told[:2])} == {"b", "c"}
    assert told[2] == "keras-unet: Expected to segment 4 files. Received 2 that could not be, told above."
    assert {path.stem[0] for path in (tmp_path / "out").iterdir()} == {"a", "d"}


def test_results_are_plain_arrays():
    png = cv2.imencode(".png", np.full((2, 3), 65535, np.uint16))[1].tobytes()
    labels = cv2.imencode(".png", np.ones((2, 3), np.uint8))[1].tobytes()
    answer = {"label_png_bytes": np.array([labels], object), "probability_png_bytes": np.array([png], object)}
    result = PngFormat.result(answer, (2, 3), 2)
    assert isinstance(result, Segmentation)
    assert (result.foreground == 1).all()
    answer["label_png_bytes"] = np.array([b"no png"], object)
    with pytest.raises(ServerError, match="Expected one grey uint8 PNG in label_png_bytes"):
        PngFormat.result(answer, (2, 3), 2)
