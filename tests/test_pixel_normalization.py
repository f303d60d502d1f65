"""Raw pixels to zero mean and unit variance: by the image, whatever its brightness, or by constants."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import net as any_net
from helpers.nets import new_net

import keras_unet as ku
from keras_unet.models.blocks import dtype_policy
from keras_unet.preprocessing.pixel_normalization import NormalizePixels, pixels_are_normalized, statistics_of
from keras_unet.training.config import ConfigError, config_from_dict
from keras_unet.training.training_run import build_trainer


def picture(height=90, width=110, channels=1, seed=0):
    """Blobs on a ground, 8 bits."""
    random = np.random.default_rng(seed)
    return random.gamma(4.0, 12.0, (height, width, channels)).clip(0, 255).astype(np.uint8)


def net(**arguments):
    return any_net(pixel_normalization="image", **arguments)


def test_statistics_are_those_of_pixels_clipped_to_two_thousandths_at_either_end():
    pixels = np.arange(2000.0).reshape(40, 50)
    clipped = np.clip(pixels, 4.0, 1995.0)  # four of 2000 pixels lie beyond, at each end
    np.testing.assert_allclose(ku.pixel_statistics(pixels)[:, 0], [clipped.mean(), clipped.std()], rtol=1e-6)
    np.testing.assert_array_equal(ku.pixel_statistics([[7, 7], [7, 7]])[:, 0], [7.0, 1.0])
    spots = np.zeros((100, 100))
    spots[3, 4:8] = 50.0  # fewer than the percentiles cut off, and all that there is
    np.testing.assert_allclose(ku.pixel_statistics(spots)[:, 0], [spots.mean(), spots.std()], rtol=1e-6)


def test_each_channel_has_statistics_of_its_own():
    image = picture(channels=3) * np.array([1, 3, 0], np.uint16)
    each = [ku.pixel_statistics(image[..., channel]) for channel in range(3)]
    np.testing.assert_array_equal(ku.pixel_statistics(image), np.concatenate(each, axis=1))
    assert ku.pixel_statistics(image)[1, 2] == 1.0


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 500, 2), (700, 513, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_graph_has_the_statistics_of_numpy(shape, dtype):
    images = np.stack([picture(*shape, seed=seed).astype(dtype) for seed in (1, 2)])
    expected = [ku.pixel_statistics(image) for image in images]
    np.testing.assert_allclose(statistics_of(tf.constant(images)), expected, rtol=1e-6)


def test_a_large_image_is_sampled():
    image = np.random.default_rng(3).normal(100.0, 8.0, (1500, 1700)).astype(np.float32)
    np.testing.assert_allclose(ku.pixel_statistics(image)[:, 0], [100.0, 8.0], rtol=0.02)


@pytest.mark.parametrize(("factor", "offset"), [(0.5, 0), (2, 0), (100, 0), (257, 11), (1, -30)])
def test_brightness_contrast_and_bit_depth_do_not_change_the_result(factor, offset):
    model, image = net(), picture()
    plain = ku.predict(model, image)
    other = ku.predict(model, image * np.float32(factor) + np.float32(offset))
    np.testing.assert_allclose(other, plain, atol=1e-4)
    assert plain.std() > 0.01


def test_rotated_versions_have_the_statistics_of_the_image():
    model, image = net(depth=1), picture(40, 50)
    plain = ku.predict(model, image, averaging="rotations7")
    np.testing.assert_allclose(ku.predict(model, image * 3.0 + 5.0, averaging="rotations7"), plain, atol=1e-4)


def test_files_of_different_bit_depth_give_the_same():
    model, image = net(), picture()
    batch = np.stack([image.astype(np.uint16), image.astype(np.uint16) * 257])
    one, other = ku.predict(model, batch)
    np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(one, ku.predict(model, image), atol=1e-5)


def test_a_hot_pixel_changes_what_is_near_it_alone():
    model, image = net(depth=1), picture(120, 130).astype(np.uint16)
    hot = image.copy()
    hot[20, 30] = 65535
    change = np.abs(ku.predict(model, hot) - ku.predict(model, image)).max(axis=-1)
    assert change[60:, 60:].max() < 0.02
    assert change.max() > 0.02


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_tiled_equals_one_pass_of_the_normalised_image(padding):
    model, image = net(padding=padding), picture(100, 90)
    means, deviations = ku.pixel_statistics(image)
    by_hand = any_net(padding=padding, value_range=(-1, 1))  # which passes pixels on as they are
    by_hand.set_weights(model.get_weights())
    expected = ku.predict(by_hand, (image - means) / deviations, tile=1024)
    np.testing.assert_allclose(ku.predict(model, image, tile=92), expected, atol=1e-5)


def test_a_model_called_with_raw_images_normalises_each():
    model = net(padding="same")
    images = np.stack([picture(64, 64, seed=1), picture(64, 64, seed=2)]).astype(np.float32)
    plain = model(images)
    np.testing.assert_allclose(model(images * np.reshape([3.0, 20.0], (2, 1, 1, 1))), plain, atol=1e-4)
    statistics = np.stack([ku.pixel_statistics(image) for image in images])[:, :, None, None]
    with pixels_are_normalized():
        given = model((images - statistics[:, 0]) / statistics[:, 1])
    np.testing.assert_allclose(given, plain, atol=1e-4)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_pixels_are_normalised_in_float32(policy):
    image = 32768 + picture().astype(np.float32)
    with dtype_policy(policy):
        normal = NormalizePixels()(image[None])
    assert normal.dtype == tf.float32
    assert np.mean(normal) == pytest.approx(0, abs=0.02)
    assert np.std(normal) == pytest.approx(1, abs=0.02)


def test_constants_take_the_place_of_the_images_own_statistics():
    image, other = picture(), picture(seed=1) // 2
    model, by_image = any_net(pixel_normalization=((50.0,), (20.0,))), any_net(value_range=(30, 70))
    by_image.set_weights(model.get_weights())
    np.testing.assert_allclose(ku.predict(model, image), ku.predict(by_image, image), atol=1e-5)
    np.testing.assert_allclose(ku.predict(model, other), ku.predict(by_image, other), atol=1e-5)


def test_a_data_set_has_the_statistics_of_all_its_images():
    data = ku.datasets.load("synthetic", count=3, size=64)
    pixels = np.concatenate([sample.image.ravel() for sample in data])
    low, high = np.sort(pixels)[[int(0.002 * pixels.size), -1 - int(0.002 * pixels.size)]]
    clipped = np.clip(pixels.astype(np.float64), low, high)
    np.testing.assert_allclose(data.pixel_statistics, [[clipped.mean()], [clipped.std()]], rtol=1e-6)


@pytest.mark.parametrize("normalization", ["image", ((3.0,), (2.0,)), "range"])
def test_models_are_stored_with_their_normalisation(tmp_path, normalization):
    model, image = any_net(pixel_normalization=normalization), picture()
    model.save(tmp_path / "m.keras")
    loaded = ku.load_model(tmp_path / "m.keras")
    assert loaded.pixel_normalization == normalization
    np.testing.assert_array_equal(ku.predict(loaded, image), ku.predict(model, image))


def test_a_model_of_before_maps_its_range():
    config = any_net(value_range=(0, 4095)).get_config()
    del config["pixel_normalization"]
    assert ku.UNet.from_config(config).pixel_normalization == "range"


def test_a_constant_image_is_segmented():
    probabilities = ku.predict(net(), np.full((50, 60), 1000, np.uint16))
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities, ku.predict(net(), np.zeros((50, 60), np.uint8)), atol=1e-6)


def test_a_border_of_nan_is_refused():
    image = picture().astype(np.float32)
    image[:3] = np.nan
    with pytest.raises(ValueError, match="Expected finite pixel values"):
        ku.predict(net(), image)


def settings(**model):
    return config_from_dict({"model": {"filters": 2, "depth": 1, **model}, "training": {"input_size": 68}})


def test_a_run_normalises_as_its_configuration_says():
    data = ku.datasets.load("synthetic", count=2, size=80)
    trained = {
        name: build_trainer(settings(pixel_normalization=name), data).model for name in ("image", "data", "range")
    }
    assert trained["image"].pixel_normalization == "image"
    assert trained["data"].pixel_normalization == data.pixel_statistics
    assert trained["range"].pixel_normalization == "range"
    assert {model.value_range for model in trained.values()} == {data.value_range}


def flat(value=7):
    image, labels = np.full((80, 80, 1), value, np.uint8), np.zeros((80, 80), np.int32)
    labels[20:40, 20:40] = 1
    return ku.datasets.LabelledImages((ku.datasets.Sample("flat", image, labels),), "classes", 2, ("no", "yes"))


def test_training_images_of_one_value_are_refused():
    with pytest.raises(ValueError, match="Expected training images whose pixels differ. Received 7 in every pixel"):
        build_trainer(settings(), flat())


def test_a_range_that_holds_hardly_a_pixel_is_refused():
    data = ku.datasets.load("synthetic", count=2, size=80)
    chosen = settings(pixel_normalization="range", value_range=(1000, 2000))
    with pytest.raises(ConfigError, match=r"Expected a range that holds at least 1% .* 1000 … 2000, which holds 0.00%"):
        build_trainer(chosen, data)


@pytest.mark.parametrize(
    "normalization", ["images", ([1.0], [0.0]), ([1.0, 2.0], [1.0, 1.0]), [1.0], ([1.0], ["x"]), ([np.nan], [1.0]), 3]
)
def test_other_normalisations_are_refused(normalization):
    with pytest.raises(ValueError, match='Expected pixel_normalization "range", "image", or means and positive'):
        new_net(pixel_normalization=normalization)


def test_statistics_of_no_image_are_refused():
    with pytest.raises(ValueError, match=r"Expected an image \(height, width\) .* Received shape \(0, 3\)"):
        ku.pixel_statistics(np.zeros((0, 3)))
