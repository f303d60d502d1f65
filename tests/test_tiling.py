"""Tiled prediction against one pass of the net over the image mirrored by numpy."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import net, new_net, noise

from keras_unet.inference import tiling
from keras_unet.inference.tile_sizes import default_tile, tile_context
from keras_unet.inference.tiling import Tiler, predict
from keras_unet.models.geometry import Geometry
from keras_unet.models.unet import UNet

SHAPES = [(1, 1), (1, 50), (37, 1), (5, 7), (53, 61)]  # one pixel, lines, smaller than any border, odd and prime


def one_pass(model, image):
    """Logits of one pass over the image mirrored by the margin and up to a legal size."""
    geometry, (height, width, _) = model.geometry, image.shape
    margin = geometry.margin

    def after(size):
        return geometry.nearest_input_sizes(size + 2 * margin)[1] - size - margin

    whole = np.pad(image, ((margin, after(height)), (margin, after(width)), (0, 0)), mode="reflect")
    logits = model.call(tf.constant(whole[None], tf.float32), training=False).numpy()[0]
    first = margin if geometry.padding == "same" else 0
    return logits[first : first + height, first : first + width]


def tiled_logits(model, tile, batch_size):
    """A function from images to logits; compiled once for all sizes."""
    tiler = Tiler(model.geometry, tile, batch_size)
    pixel = tf.TensorSpec((model.num_classes,), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, model.channels), tf.uint8)], autograph=False)
    def segment(images):
        return tiler(images, lambda tiles: model.call(tiles, training=False), pixel)

    return lambda image: segment(tf.constant(image[None])).numpy()[0]


def tile_of(geometry, *strides):
    return tuple(tile_context(geometry) + geometry.stride * count for count in strides)


@pytest.fixture(scope="module")
def model():
    return net(value_range=(0, 2000))


RANDOM_NETS = [
    {"depth": 1, "padding": "valid", "upsampling": "transposed", "num_classes": 1},
    {"depth": 2, "padding": "valid", "upsampling": "transposed", "num_classes": 3, "normalization": "batch"},
    {"depth": 3, "padding": "valid", "upsampling": "transposed", "num_classes": 2, "residual": True},
    {"depth": 1, "padding": "same", "upsampling": "transposed", "num_classes": 4, "filters": 3},
    {"depth": 2, "padding": "same", "upsampling": "transposed", "num_classes": 2, "residual": True},
    {"depth": 3, "padding": "same", "upsampling": "transposed", "num_classes": 2, "normalization": "batch"},
    {"depth": 2, "padding": "valid", "upsampling": "bilinear", "num_classes": 2, "filters": 4},
    {"depth": 3, "padding": "valid", "upsampling": "bilinear", "num_classes": 1},
    {"depth": 2, "padding": "same", "upsampling": "bilinear", "num_classes": 2, "residual": True},
]


@pytest.mark.parametrize("seed", range(len(RANDOM_NETS)))
def test_tiled_equals_one_pass_at_every_pixel(seed):
    model, random = net(seed, **RANDOM_NETS[seed]), np.random.default_rng(seed)
    tile = tuple(int(size) for size in tile_of(model.geometry, *random.integers(1, 6, 2)))
    segment = tiled_logits(model, tile, batch_size=int(random.integers(1, 4)))
    for shape in [*SHAPES, *(tuple(random.integers(20, 100, 2)) for _ in range(2))]:
        image = noise(*shape, 1, seed=seed)
        result = segment(image)
        np.testing.assert_allclose(result, one_pass(model, image), rtol=0, atol=1e-4, err_msg=f"{shape} {tile}")
        assert result.shape == (*shape, model.num_classes)


@pytest.mark.parametrize("shape", SHAPES)
def test_predict_gives_the_probabilities_of_one_pass(model, shape):
    image = noise(*shape, 1)
    logits = one_pass(model, image).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    result = predict(model, image, tile=tile_of(model.geometry, 3, 5))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)
    assert result.dtype == np.float32


def test_predict_gives_the_sigmoid_of_a_single_logit():
    model = net(num_classes=1)
    image = noise(11, 13, 1)
    expected = 1 / (1 + np.exp(-one_pass(model, image).astype(np.float64)))
    np.testing.assert_allclose(predict(model, image), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_comparison_tells_a_tile_off_the_stride(padding):
    """Tiles advance by multiples of 2**depth since other steps give another result, which the tests above would see."""
    model = net(padding=padding)
    margin, stride = model.geometry.margin, model.geometry.stride
    image = noise(64, 64, 1)
    first = margin if padding == "same" else 0

    def difference(origin):
        rows = np.pad(image, ((margin, margin + 32), (margin, margin + 32), (0, 0)), mode="reflect")[origin:]
        rows = rows[: tile_context(model.geometry) + 4 * stride, : tile_context(model.geometry) + 4 * stride]
        tile = model.call(tf.constant(rows[None], tf.float32), training=False).numpy()[0]
        kept = tile[first : first + 4 * stride, first : first + 4 * stride]
        return np.abs(kept - one_pass(model, image)[origin : origin + 4 * stride, : 4 * stride]).max()

    assert difference(2 * stride) < 1e-4
    assert difference(2 * stride + 1) > 1e-2
    assert difference(stride + stride // 2) > 1e-2


def test_models_of_fixed_input_size_take_images_and_tiles_of_any_size():
    model = net(input_shape=(44, 44, 1), upsampling="transposed")
    twin = new_net(seed=1)
    twin.set_weights(model.get_weights())
    image = noise(31, 47, 1)
    np.testing.assert_array_equal(predict(model, image, tile=64), predict(twin, image, tile=64))


def test_an_image_has_the_same_bits_alone_and_in_a_batch(model):
    tile = tile_of(model.geometry, 4, 4)
    images = np.stack([noise(40, 75, 1, seed=seed) for seed in (1, 2, 3)])
    together = predict(model, images, tile=tile, batch_size=2)
    for image, result in zip(images, together, strict=True):
        np.testing.assert_array_equal(result, predict(model, image, tile=tile, batch_size=2))


def test_an_empty_batch_gives_an_empty_batch(model):
    assert predict(model, np.zeros((0, 20, 30, 1), np.uint8)).shape == (0, 20, 30, 2)


@pytest.mark.parametrize("dtype", [">u2", "int32", "float16", ">f4", "float64"])
def test_the_dtype_of_the_pixels_does_not_matter(dtype):
    """Pixels in the other byte order are turned into native ones, for which a function of its own is compiled."""
    model = net(depth=1)
    image = noise(20, 20, 1)
    np.testing.assert_array_equal(predict(model, image.astype(dtype)), predict(model, image))


def test_one_channel_may_come_without_channel_axis():
    model = net(depth=1)
    image = noise(20, 30, 1)
    np.testing.assert_array_equal(predict(model, image[..., 0]), predict(model, image))
    np.testing.assert_array_equal(predict(model, image[..., 0] > 100), predict(model, (image > 100) * 1))


def test_half_precision_models_give_float32_close_to_one_pass():
    model = net(depth=1, dtype="mixed_bfloat16", value_range=(0, 2000))
    image = noise(40, 40, 1)
    result = predict(model, image, tile=tile_of(model.geometry, 4, 4))
    expected = tf.nn.softmax(one_pass(model, image)).numpy()
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-2)


def test_another_image_size_costs_no_trace_and_new_weights_are_seen(monkeypatch):
    model = new_net(depth=1)
    before = predict(model, noise(30, 30, 1))
    monkeypatch.setattr(UNet, "call", lambda *_, **__: pytest.fail("traced again"))
    assert predict(model, noise(21, 90, 1)).shape == (21, 90, 2)
    model.get_layer("logits").bias.assign([3.0, 0.0])
    assert (predict(model, noise(30, 30, 1))[..., 0] > before[..., 0]).all()


def test_a_dropped_model_is_freed():
    model = new_net(depth=1)
    predict(model, noise(9, 9, 1))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_mirror_is_numpys_reflect_however_far_outside(size):
    expected = np.pad(np.arange(size), 25, mode="reflect")
    np.testing.assert_array_equal(tiling.mirror(tf.range(-25, size + 25), tf.constant(size)), expected)


def test_the_papers_tile_advances_by_384():
    assert tile_context(Geometry()) == 572 - 384
    assert tile_context(Geometry(depth=1, padding="same")) % 4 == 0


def test_images_are_split_into_the_fewest_tiles_evenly_filled():
    tiler = Tiler(Geometry(), (572, 572))
    assert tiler.split(384, 0) == (1, 384)
    assert tiler.split(512, 0) == (2, 256)  # not 384 and a third of a tile
    assert tiler.split(20, 0) == (1, 32)
    assert tiler.split(1000, 1) == (3, 336)


def test_the_default_tile_is_legal_and_fits_the_memory():
    geometry = Geometry()
    assert default_tile(geometry, 64, 0) == 204
    assert default_tile(geometry, 64, 10**15) == 1020
    for memory in (10**8, 10**9):
        side = default_tile(geometry, 64, memory)
        assert geometry.is_legal(side)
        assert side**2 * 64 * 10.5 < memory  # 211 MB measured for the paper's net at 572


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(5), r"Expected an image \(height, width\).* Received shape \(5,\)"),
        (np.zeros((1, 1, 5, 5, 1)), r"Received shape \(1, 1, 5, 5, 1\)"),
        (np.zeros((5, 5, 3)), r"Expected 1 channels on the last axis\. Received shape \(5, 5, 3\)"),
        (np.zeros((0, 5)), r"Expected at least one pixel\. Received shape \(0, 5\)"),
        (np.zeros((2, 5, 0, 1)), r"Expected at least one pixel\. Received shape \(2, 5, 0, 1\)"),
        (np.array([[1.0, np.nan]]), r"Expected finite pixel values that float32 holds\. Received NaN"),
        (np.array([[1.0, 1e300]]), r"that float32 holds"),
        (np.array([[1.0, -np.inf]]), r"Expected finite pixel values that float32 holds\. Received NaN"),
        (np.array([["a", "b"]]), r"Expected an image of real numbers\. Received dtype <U1"),
        (np.zeros((5, 5), complex), r"Expected an image of real numbers\. Received dtype complex128"),
    ],
)
def test_images_that_cannot_be_segmented_are_refused(model, image, message):
    with pytest.raises(ValueError, match=message):
        predict(model, image)


@pytest.mark.parametrize(
    ("tile", "nearest"),
    [(570, "556 or 572"), (512, "508 or 524"), (188, "204"), (-3, "204"), ((572, 573), "572 or 588")],
)
def test_illegal_tiles_are_refused_and_the_nearest_named(tile, nearest):
    with pytest.raises(
        ValueError, match=rf"Expected a tile (height|width) of 204, 220, 236.* Nearest legal: {nearest}\."
    ):
        Tiler(Geometry(), (tile, tile) if isinstance(tile, int) else tile)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True])
def test_illegal_batch_sizes_are_refused(model, batch_size):
    with pytest.raises(ValueError, match="Expected a whole number of at least 1 for the batch size"):
        predict(model, noise(5, 5, 1), batch_size=batch_size)
