"""The client against a stand-in for TensorFlow Serving: what travels, and that it is what `predict` gives."""

import cv2
import numpy as np
import pytest
import tifffile
from helpers.clients import QUANTUM, TILE, address, connect, noise, schemes
from helpers.stand_in_server import StandIn

from keras_unet.export.client import Client, Segmentation, ServerError, parallel
from keras_unet.export.client.formats import PngFormat, RawFormat
from keras_unet.inference.tiling import predict


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
    # Kernels of some CPUs round by a tensor's shape: by a bit or two, which may turn the last bit of a PNG's 16.
    rounding = 1.01 * QUANTUM if form is PngFormat else 1e-6
    np.testing.assert_allclose(joined.foreground, whole.foreground, rtol=0, atol=rounding)


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
def test_versions_and_labels_are_asked_for(server, scheme):
    for version in (None, 1, "stable"):
        with Client(address(server, scheme), "cells", version=version) as client:
            assert client.description()["input"]["dtype"] == "uint16"
            assert client.versions() == {1: "AVAILABLE"}
    with Client(address(server, scheme), "cell", retries=0) as client, pytest.raises(ServerError, match="'cell'"):
        client.versions()


def test_probabilities_are_taken_with_the_rounding_of_bfloat16():
    result = RawFormat.result({"probabilities": np.full((1, 2, 3, 1), 1 + 1 / 256)}, (2, 3), 1)
    assert (result.foreground == 1).all()


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
