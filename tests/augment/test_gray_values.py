"""Gray values: exponent, contrast, brightness and noise, which leave geometry, label and weights alone."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.augmentation import NO_GRAY, SEED, drawn, example, still, warp
from scipy.ndimage import gaussian_filter

from keras_unet import augment, pixel_statistics
from keras_unet.augment import gray_values
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.tile_augmenter import TileAugmenter


def test_gray_values_follow_exponent_contrast_brightness_and_noise():
    image = np.array([-3.0, -1.5, 3.0, 0.75, -5.0, 4.5], np.float32).reshape(2, 3, 1)
    # Between -3 and 3 standard deviations the exponent acts on 0 … 1; below, values stay.
    raised = 6 * np.array([0.0, 0.25**0.5, 1.0, 0.625**0.5, -1 / 3, 1.25**0.5]) - 3
    deviates = np.array([1.0, -1.0, 0.0, 2.0, 0.5, 0.0])
    expected = raised.mean() + 1.2 * (raised - raised.mean()) - 0.1 + 0.05 * deviates
    ours = augment.vary_gray_values(
        tf.constant(image),
        tf.constant([0.5, 1.2, -0.1, 0.05]),
        noise=tf.constant(deviates.reshape(2, 3, 1), tf.float32),
    )
    np.testing.assert_allclose(np.ravel(ours), expected, rtol=1e-5)


def test_noise_is_near_normal_and_without_pattern():
    noise = gray_values.pixel_noise([256, 250, 2], tf.constant([SEED, 1])).numpy()
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(noise) > 2) == pytest.approx(0.0455, abs=0.01)
    for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)):
        assert abs(np.mean(noise * np.roll(noise, step, (0, 1, 2)))) < 0.02


def test_noise_is_the_same_compiled_and_not_and_differs_by_seed():
    compiled = tf.function(gray_values.pixel_noise, jit_compile=True)
    fields = [gray_values.pixel_noise([64, 60, 1], tf.constant(seed)).numpy() for seed in ([1, 2], [2, 1], [-1, 2])]
    np.testing.assert_allclose(compiled([64, 60, 1], tf.constant([1, 2])), fields[0], atol=1e-6)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(fields[one].ravel(), fields[other].ravel())[0, 1]) < 0.05


def test_each_tile_has_the_noise_of_its_draw():
    settings = AugmentationSettings(**{**NO_GRAY, "noise": 0.04})
    augmenter = TileAugmenter(settings, input_size=(48, 48), jit_compile=False)
    # Half of the pixels at 10 and half at 30: standard deviation 10.
    halves = np.repeat(np.array([10, 30], np.uint8), 30)[:, None, None] * np.ones((1, 60, 1), np.uint8)
    image = (halves, np.zeros((60, 60), np.int32), np.ones((60, 60), np.float32))
    tiles = []
    for seed in ([1, 2], [1, 3], [1, 2]):
        draw = still()._replace(gray=tf.constant([1.0, 1.0, 0.0, 0.04]), noise_seed=tf.constant(seed))
        tiles.append(augmenter.apply(*image, centre=np.float32((29.5, 29.5)), drawn=draw)[0].numpy()[:20].ravel())
    np.testing.assert_array_equal(tiles[0], tiles[2])
    assert tiles[0].std() == pytest.approx(0.04 * 10, rel=0.1)
    assert abs(np.corrcoef(tiles[0], tiles[1])[0, 1]) < 0.1


@pytest.mark.parametrize("compiled", [False, True])
def test_gray_variation_is_measured_in_the_standard_deviation_of_the_image(compiled):
    image, label, weight = example(60, 60)
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 48), jit_compile=compiled)
    one = augmenter(image, label, weight, centre=(30, 30), seed=8)[0]
    other = augmenter(image.astype(np.float32) * 3 + 1000, label, weight, centre=(30, 30), seed=8)[0]
    np.testing.assert_allclose((other - 1000) / 3, one, atol=1e-2)
    assert not np.allclose(one, augmenter(image, label, weight, centre=(30, 30), seed=9)[0], atol=1)


@pytest.mark.parametrize("settings", [AugmentationSettings(), AugmentationSettings.none()])
def test_normalised_tiles_do_not_depend_on_brightness_and_contrast_of_the_image(settings):
    image, label, weight = example(60, 60)
    augmenter = TileAugmenter(settings, input_size=(48, 48), normalize=True, jit_compile=False)
    one = augmenter(image, label, weight, centre=(30, 30), seed=8)[0]
    other = augmenter(image.astype(np.float32) * 3 + 1000, label, weight, centre=(30, 30), seed=8)[0]
    np.testing.assert_allclose(other, one, atol=1e-3)
    if not settings.varies_gray:
        raw = TileAugmenter(settings, input_size=(48, 48), jit_compile=False)(*example(60, 60), centre=(30, 30), seed=8)
        means, deviations = pixel_statistics(image)
        np.testing.assert_allclose(one, (raw[0] - means) / deviations, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_blur_is_that_of_scipy_and_leaves_label_and_weight_alone(compiled):
    arrays = example(40, 44, channels=2)
    settings = AugmentationSettings(**{**NO_GRAY, "blur": 1.5})
    image, label, weight = warp(still(blur=1.2), arrays, (40, 44), settings=settings, jit_compile=compiled)
    # Our Gaussian ends at three of the largest deviations, 5 pixels.
    expected = gaussian_filter(np.float64(arrays[0]), (1.2, 1.2, 0), radius=5, mode="mirror")
    np.testing.assert_allclose(image, expected, atol=1e-3)
    np.testing.assert_array_equal(label, arrays[1])
    np.testing.assert_allclose(weight, arrays[2], rtol=1e-6)


def test_tiles_are_blurred_from_not_at_all_to_the_largest_deviation():
    image, label, weight = example(60, 60)
    still_sharp = warp(still(blur=0.0), (image, label, weight), (40, 40), settings=AugmentationSettings(**NO_GRAY))[0]
    settings = AugmentationSettings(**{**NO_GRAY, "blur": 2.0})
    np.testing.assert_allclose(
        warp(still(), (image, label, weight), (40, 40), settings=settings)[0], still_sharp, atol=1e-3
    )
    drawn_deviations = drawn(AugmentationSettings(blur=2.0)).blur
    assert 0 <= drawn_deviations.min() < 0.1
    assert 1.9 < drawn_deviations.max() <= 2.0


def test_gray_variation_leaves_geometry_label_and_weights_alone():
    arrays = example(60, 60)
    with_gray, without = (
        TileAugmenter(settings, input_size=(48, 48), jit_compile=False)(*arrays, centre=(30, 30), seed=8)
        for settings in (AugmentationSettings(), AugmentationSettings(**NO_GRAY))
    )
    assert np.corrcoef(np.ravel(with_gray[0]), np.ravel(without[0]))[0, 1] > 0.9
    assert not np.allclose(with_gray[0], without[0])
    np.testing.assert_array_equal(with_gray[1], without[1])
    np.testing.assert_allclose(with_gray[2], without[2], atol=1e-4)


def test_drawn_gray_parameters_stay_in_their_ranges():
    settings = AugmentationSettings(brightness=0.1, contrast=0.3, gamma=0.5, noise=0.04)
    gray = drawn(settings).gray
    low, high = np.array([1 / 1.5, 0.7, -0.1, 0.0]), np.array([1.5, 1.3, 0.1, 0.04])
    assert (gray >= low - 1e-6).all()
    assert (gray <= high + 1e-6).all()
    assert (np.ptp(gray, axis=0) > 0.9 * (high - low)).all()
