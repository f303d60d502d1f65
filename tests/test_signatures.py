"""Signatures beside raw images: encoded files, objects, the description; precision and averaging; hostile bytes."""

import io
import json
import struct
import zlib
from functools import partial

import imagecodecs
import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import exported, loaded, noise
from helpers.nets import net as any_net
from PIL import Image
from scipy import ndimage

from keras_unet import export, image_io
from keras_unet.export.graph_instances import connected_components
from keras_unet.export.graph_instances import instances as instances_in_graph
from keras_unet.export.serving_protos import PredictionLog, to_array
from keras_unet.inference.tiling import predict
from keras_unet.instances.components import connected_components as by_opencv
from keras_unet.instances.components import instances
from keras_unet.instances.instance_settings import InstanceSettings

TILE = 68
MAX_PIXELS = 10_000


net = partial(any_net, seed=2, depth=1, padding="same", value_range=(0, 255))
WARM_UP = [(5, 9), (40, 3)]  # of the net of 16 bits; the others warm up with a tile


@pytest.fixture(scope="module")
def folders():
    """Nets by (channels, dtype), each with its version folder."""
    objects = {"metadata": {"threshold": 0.5}}
    models = {
        (3, "uint8"): (net(channels=3), objects),
        (1, "uint16"): (net(num_classes=1, value_range=(0, 65535)), {"warm_up": WARM_UP, **objects}),
        (1, "float32"): (net(num_classes=3), {}),
    }
    return {
        key: (model, exported(model, tile=TILE, input_dtype=key[1], max_pixels=MAX_PIXELS, **options))
        for key, (model, options) in models.items()
    }


@pytest.fixture(scope="module")
def saved(folders):
    """Nets by (channels, dtype), each with its loaded signatures."""
    return {key: (model, loaded(folder).signatures) for key, (model, folder) in folders.items()}


def encode(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def palette(colours):
    image = Image.fromarray(noise(20, 30) % 4, "P")
    image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def header(width, height, bits=8, colour=2):
    """A PNG that claims a size and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def repaired(file):
    """With the check sums of PNG's chunks made good, as far as chunks are found."""
    parts, at = [file[:8]], 8
    while at + 12 <= len(file):
        length = struct.unpack_from(">I", file, at)[0]
        body = file[at + 4 : at + 8 + length]
        parts += [file[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join(parts) if file.startswith(b"\x89PNG") else file


GREYS = [(0, 0, 0), (50, 50, 50), (128, 128, 128), (255, 255, 255)]
COLOURS = [(0, 0, 0), (50, 0, 50), (128, 12, 128), (255, 255, 0)]
LEGAL = {
    "png": ((3, "uint8"), encode(noise(31, 50, 3))),
    "one pixel": ((3, "uint8"), encode(noise(1, 1, 3))),
    "one row": ((3, "uint8"), encode(noise(1, 50, 3))),
    "opaque": ((3, "uint8"), encode(np.dstack([noise(23, 40, 3), np.full((23, 40), 255, np.uint8)]))),
    "jpeg": ((3, "uint8"), encode(noise(37, 41, 3), "JPEG", quality=90)),
    "palette": ((3, "uint8"), palette(COLOURS)),
    "16 bits": ((1, "uint16"), encode(noise(29, 33, dtype=np.uint16))),
    "8 bits for a net of 16": ((1, "uint16"), encode(noise(29, 33))),
    "16 bits for floats": ((1, "float32"), encode(noise(29, 33, dtype=np.uint16))),
    "grey jpeg": ((1, "float32"), encode(noise(64, 20), "JPEG")),
    "grey palette": ((1, "uint16"), palette(GREYS)),
    "opaque grey": ((1, "float32"), encode(np.dstack([noise(12, 13), np.full((12, 13), 9, np.uint8)]))),
}


@pytest.mark.parametrize("name", LEGAL)
def test_files_are_segmented_as_the_library_reads_and_predicts_them(name, saved, tmp_path):
    key, file = LEGAL[name]
    (model, signatures), path = saved[key], tmp_path / "image"
    path.write_bytes(file)
    pixels = image_io.read_image(path)
    expected = predict(model, pixels.astype(key[1]), tile=TILE)
    answer = signatures["image_bytes"](image_bytes=tf.constant([file]))

    assert (int(answer["height"][0]), int(answer["width"][0])) == pixels.shape[:2]
    cells = expected[..., 0] if model.num_classes == 1 else 1 - expected[..., 0]
    found = imagecodecs.png_decode(answer["probability_png_bytes"][0].numpy())
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found.reshape(cells.shape) / 65535, cells, atol=2e-5)
    classes = imagecodecs.png_decode(answer["label_png_bytes"][0].numpy()).reshape(cells.shape)
    most_probable = cells > 0.5 if model.num_classes == 1 else expected.argmax(axis=-1)
    ordered = np.sort(expected, axis=-1)
    sure = np.abs(cells - 0.5) > 1e-5 if model.num_classes == 1 else ordered[..., -1] - ordered[..., -2] > 1e-5
    np.testing.assert_array_equal(classes[sure], most_probable[sure])


def test_a_batch_holds_files_of_different_sizes_and_may_be_empty(saved):
    _, signatures = saved[3, "uint8"]
    files = [LEGAL[name][1] for name in ("png", "jpeg", "one pixel")]
    together = signatures["image_bytes"](image_bytes=tf.constant(files))
    assert together["height"].numpy().tolist() == [31, 37, 1]
    assert together["width"].numpy().tolist() == [50, 41, 1]
    for index, file in enumerate(files):
        alone = signatures["image_bytes"](image_bytes=tf.constant([file]))
        for name in ("label_png_bytes", "probability_png_bytes"):
            assert alone[name][0] == together[name][index]
    empty = signatures["image_bytes"](image_bytes=tf.constant([], tf.string))
    assert {name: value.shape for name, value in empty.items()} == dict.fromkeys(empty, (0,))


ILLEGAL = {
    "no image": ((3, "uint8"), b"GIF89a", "Expected an encoded PNG or JPEG image. Received other bytes."),
    "empty": ((3, "uint8"), b"", "Expected an encoded PNG or JPEG image. Received other bytes."),
    "png start": ((3, "uint8"), b"\x89PNG\r\n\x1a\n", "Expected an image of 1 to 10000 pixels. Received 0 x 0."),
    "bomb": ((3, "uint8"), header(100_000, 100_000), "Received 100000 x 100000."),
    "overflowing bomb": ((3, "uint8"), header(2**32 - 1, 2**32 - 1), "Received 4294967295 x 4294967295."),
    "one row too many": ((3, "uint8"), encode(noise(101, 100, 3)), "Received 101 x 100."),
    "large jpeg": ((3, "uint8"), encode(noise(101, 100, 3), "JPEG"), "Received 101 x 100."),
    "16 bits to 8": ((3, "uint8"), header(9, 9, 16), "image of up to 8 bits. Received a PNG of colour type 2 with 16"),
    "grey to rgb": (
        (3, "uint8"),
        encode(noise(9, 9)),
        "Expected a RGB image of up to 8 bits. Received a PNG of colour type 0",
    ),
    "rgb to grey": ((1, "uint16"), encode(noise(9, 9, 3)), "Expected a grey image of up to 16 bits. Received a PNG of"),
    "rgb jpeg to grey": ((1, "float32"), encode(noise(9, 9, 3), "JPEG"), "Received a JPEG of 3 channels."),
    "colours to grey": ((1, "uint16"), palette(COLOURS), "Expected a grey image. Received a palette of colours."),
    "alpha": ((3, "uint8"), encode(noise(9, 9, 4)), "Expected an image without alpha, or with one alpha everywhere"),
    "truncated png": ((3, "uint8"), LEGAL["png"][1][:500], ""),
    "truncated jpeg": ((3, "uint8"), LEGAL["jpeg"][1][:500], ""),
    "only a header": ((3, "uint8"), header(9, 9), ""),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_bytes_that_are_refused_answer_invalid_argument_and_the_next_are_served(name, saved):
    key, file, message = ILLEGAL[name]
    _, signatures = saved[key]
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        signatures["image_bytes"](image_bytes=tf.constant([file]))
    told = export.sentence(refused.value.message)
    assert message in told
    assert "node" not in told
    good = next(file for other, file in LEGAL.values() if other == key)
    assert signatures["image_bytes"](image_bytes=tf.constant([good]))["height"].shape == (1,)


@pytest.mark.parametrize("files", [b"", [[b""]]], ids=["scalar", "matrix"])
def test_files_come_as_a_vector(files, saved):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected encoded images of shape \(batch,\)"):
        saved[3, "uint8"][1]["image_bytes"](image_bytes=tf.constant(files))


@pytest.mark.parametrize("count", [75, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_mutated_files_are_answered_or_refused(form, count, saved):
    """Bytes flipped, cut out, doubled; nothing crashes, hangs or has a wrong shape."""
    random = np.random.default_rng(18)
    _, signatures = saved[3, "uint8"]
    original = np.frombuffer(encode(noise(12, 9, 3), form), np.uint8)
    answered = 0
    for _ in range(count):
        file = original.copy()
        at = random.integers(0, file.size, random.integers(1, 4))
        kind = random.integers(3)
        if kind == 0:
            file[at] = random.integers(0, 256, at.size)
        elif kind == 1:
            file = np.delete(file, at)
        else:
            file = np.insert(file, at, file[at])
        sent = repaired(file.tobytes()) if random.integers(2) else file.tobytes()
        try:
            answer = signatures["image_bytes"](image_bytes=tf.constant([sent]))
        except tf.errors.InvalidArgumentError:
            continue
        answered += 1
        size = int(answer["height"][0]), int(answer["width"][0])
        assert 0 < size[0] * size[1] <= MAX_PIXELS
        label = imagecodecs.png_decode(answer["label_png_bytes"][0].numpy())
        assert label.reshape(size).max() < 2
    assert answered > 0


@pytest.mark.parametrize("key", [(3, "uint8"), (1, "uint16")], ids=str)
def test_objects_are_those_of_the_library(key, saved):
    model, signatures = saved[key]
    images = np.stack([noise(41, 57, key[0], dtype=key[1])] * 2)
    images[1] = images[1][::-1]
    found = signatures["instances"](images=tf.constant(images))["instances"].numpy()
    assert found.dtype == np.int32
    for image, objects in zip(images, found, strict=True):
        answer = signatures["serving_default"](images=tf.constant(image[None]))["probabilities"].numpy()[0]
        cells = answer[..., 0] if model.num_classes == 1 else np.clip(1 - answer[..., 0], 0, 1)
        np.testing.assert_array_equal(objects, instances(cells, 0.5, expand=2))
    assert found.max() > 1


FOUND_BY = {
    "components": InstanceSettings(),
    "no small ones, wide gaps": InstanceSettings(0.5, 20, expand=4),
    "seeds": InstanceSettings(0.45, 5, seed_threshold=0.6),
    "watershed": InstanceSettings(0.5, 10, True, 1.0),
    "watershed, seeds": InstanceSettings(0.4, 3, True, 0.5, 0.6, 3),
}


@pytest.mark.parametrize("settings", FOUND_BY.values(), ids=FOUND_BY)
def test_objects_of_the_graph_are_those_of_the_settings_pixel_for_pixel(settings):
    find = tf.function(
        partial(instances_in_graph, settings=settings), input_signature=[tf.TensorSpec((None, None))], autograph=False
    )
    random, counts = np.random.default_rng(1), []
    for sigma, size in ((0, (1, 1)), (0, (1, 40)), (0.8, (40, 57)), (2, (64, 64)), (4, (90, 70))):
        field = ndimage.gaussian_filter(random.standard_normal(size), sigma)
        chance = (field - field.min()) / max(np.ptp(field), 1e-9)
        for plane in (chance, np.round(chance * 8) / 8, np.round(chance), 0 * chance, 0 * chance + 1):
            expected = settings.find(plane.astype(np.float32))
            np.testing.assert_array_equal(find(plane.astype(np.float32)), expected)
            counts.append(expected.max())
    assert max(counts) > 5


def test_the_signature_finds_objects_by_what_was_tuned_and_describes_it(tmp_path):
    tuned = {"threshold": 0.45, "min_size": 4, "watershed": True, "depth": 0.5, "seed_threshold": 0.5, "expand": 3}
    metadata = {"threshold": 0.9, "tuned": {**tuned, "seg": 0.7, "components_threshold": 0.9}}
    folder = exported(net(channels=1), tile=TILE, metadata=metadata)
    assert export.read_description(folder)["instances"] == tuned
    served = loaded(folder).signatures
    image = ndimage.gaussian_filter(noise(60, 50, dtype=np.float32), 2)[None, ..., None]
    cells = np.clip(1 - served["serving_default"](images=image)["probabilities"].numpy()[0, ..., 0], 0, 1)
    found = served["instances"](images=image)["instances"].numpy()[0]
    np.testing.assert_array_equal(found, InstanceSettings(**tuned).find(cells))


def test_no_images_have_no_objects(saved):
    found = saved[3, "uint8"][1]["instances"](images=tf.zeros((0, 3, 4, 3), tf.uint8))["instances"]
    assert found.shape == (0, 3, 4)


def test_components_are_numbered_as_by_opencv():
    random, number = np.random.default_rng(0), tf.function(connected_components)
    spiral = np.zeros((41, 41), bool)
    for ring in range(0, 20, 2):
        spiral[ring, ring : 41 - ring] = spiral[40 - ring, ring : 41 - ring] = True
        spiral[ring : 41 - ring, 40 - ring] = spiral[ring + 2 : 41 - ring, ring] = True
        spiral[ring + 2, ring : ring + 3] = True
    assert by_opencv(spiral).max() == 1
    masks = [spiral, *(random.random((33, 17)) < density for density in np.linspace(0, 1, 25))]
    for mask in masks:
        np.testing.assert_array_equal(number(tf.constant(mask)), by_opencv(mask))


def test_the_description_is_told_over_the_wire(saved):
    answer = saved[3, "uint8"][1]["description"](request=tf.constant(["", "x"]))["description"].numpy()
    told = json.loads(answer[0])
    assert answer[0] == answer[1]
    assert told["max_pixels"] == MAX_PIXELS
    assert told["geometry"]["margin"] == net().geometry.margin
    assert told["metadata"] == {"threshold": 0.5}


def test_warm_up_requests_are_answered_by_each_signature(folders):
    _, folder = folders[1, "uint16"]
    signatures = loaded(folder).signatures
    warmed = []
    for record in tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests")):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == folder.parent.name == "cells"
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(to_array(value)) for key, value in request.inputs.items()}
        answer = signatures[name](**inputs)
        size = (answer["height"][0], answer["width"][0]) if name == "image_bytes" else answer.popitem()[1].shape[1:3]
        warmed.append((name, *map(int, size)))
    names = ("serving_default", "classes", "instances", "image_bytes")
    assert warmed == [(name, *size) for size in WARM_UP for name in names]


def test_warm_up_requests_are_what_the_server_reads(folders):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    model, folder = folders[3, "uint8"]
    records = tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests"))
    requests = [prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request for record in records]
    names = ["serving_default", "classes", "instances", "image_bytes"]
    assert [request.model_spec.signature_name for request in requests] == names
    context = 2 * model.geometry.margin
    assert tf.make_ndarray(requests[0].inputs["images"]).shape == (1, TILE - context, TILE - context, 3)


def test_signatures_that_a_net_cannot_have_are_left_out():
    folder = exported(any_net(channels=2, depth=1), tile=36)
    assert sorted(loaded(folder).signatures) == ["classes", "description", "serving_default"]


@pytest.mark.slow
def test_precision_and_averaging_are_exported_and_the_error_is_stated(tmp_path):
    model = net(channels=2, depth=1)
    folder = export.save(model, tmp_path / "m", tile=TILE, precision="bfloat16", averaging="flips")
    told = export.read_description(folder)
    assert (told["precision"], told["averaging"]) == ("mixed_bfloat16", "flips")
    assert told["proof"]["largest_difference"] <= 1e-4
    assert 1e-5 < told["proof"]["difference_to_float32"] < 0.1
    assert told["proof"]["seconds_per_tile"] > 0
    image = noise(50, 70, 2).astype(np.float32)
    found = tf.saved_model.load(str(folder)).signatures["serving_default"](images=image[None])["probabilities"][0]
    expected = predict(model, image, tile=TILE, averaging="flips")
    assert np.abs(found - expected).max() == pytest.approx(0, abs=0.1)
    assert np.abs(found - predict(model, image, tile=TILE)).max() > np.abs(found - expected).max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "float16"}, "Expected precision float32 or bfloat16. Received 'float16'."),
        ({"averaging": "eight"}, "Expected averaging among none, flips, rotations, square. Received 'eight'."),
        ({"max_pixels": 0}, "Expected a whole number of at least 1 for max_pixels. Received 0."),
        ({"metadata": {"threshold": 1.5}}, "threshold"),
        ({"metadata": {"tuned": {"threshold": 0.6, "seed_threshold": 0.5}}}, "Expected seed_threshold of at least"),
        ({"warm_up": [(512, 0)]}, "Expected a whole number of at least 1 for warm_up. Received 0."),
    ],
    ids=str,
)
def test_illegal_options_are_refused_and_nothing_is_written(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.save(net(), tmp_path / "m", tile=TILE, **changes)
    assert not (tmp_path / "m").exists()
