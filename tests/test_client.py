"""The client against a stand-in for TensorFlow Serving: what travels, what is joined, what a fault looks like."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
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
    """The address of a server that answers everybody with these parts, one after the other."""
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
                    connection.sendall(part)
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


def test_an_answer_and_what_it_redirects_to_have_one_timeout():
    start = time.monotonic()
    with scripted(HEADER, *[b" "] * 1000) as drip:
        moved = [b"HTTP/1.1 302 Found\r\n", f"Location: http://{drip}/\r\nContent-Length: 0\r\n\r\n".encode()]
        with (
            scripted(*moved, pause=1.5) as server,
            Client(f"http://{server}", "cells", timeout=2, retries=0) as client,
            pytest.raises(ServerError, match=r"within 2 s"),
        ):
            client.versions()
    assert time.monotonic() - start < 3.5  # which it would take if each had its own


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


@pytest.mark.parametrize("answer", ["data:text/html,hello", "data:application/json,[]", "data:application/json,{}"])
def test_an_answer_of_something_else_is_named(answer):
    channel = Client("http://localhost:8501", "cells")._channel
    with pytest.raises(ServerError, match="Expected JSON with 'outputs' from http://localhost:8501"):
        channel._answer("outputs", answer)


@pytest.mark.parametrize(
    "outputs", [None, 5, [], ["[]"], ["null"], ['{"format": 1}'], [1], [[]], [{"x": "y"}], ["x", 5], [{"b64": 5}]]
)
def test_a_description_of_something_else_is_named(outputs, monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: outputs)
    with pytest.raises(ServerError, match="Expected"):
        client.description()


@pytest.mark.parametrize("statuses", [5, [{}], [{"version": "x", "state": "AVAILABLE"}]])
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
        PngFormat.result(answer)


def test_probabilities_that_are_not_finite_are_no_answer():
    with pytest.raises(ServerError, match="Expected finite probabilities"):
        RawFormat.result({"probabilities": np.full((1, 2, 3, 2), np.nan)})


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


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://host:99999", "Expected an address such as"),
        ("grpc://host:0", "Expected an address such as"),
        ("http://host:8501/v1/models/cells", "Expected the address of the server alone"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_once(url, sentence):
    with pytest.raises(ValueError, match=sentence):
        Client(url, "cells")


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
    result = PngFormat.result(answer)
    assert isinstance(result, Segmentation)
    assert (result.foreground == 1).all()
    answer["label_png_bytes"] = np.array([b"no png"], object)
    with pytest.raises(ServerError, match="Expected one grey uint8 PNG in label_png_bytes"):
        PngFormat.result(answer)
