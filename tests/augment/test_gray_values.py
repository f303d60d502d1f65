"""Gray values: exponent, contrast, brightness and noise, which leave geometry, label and weights alone."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.augmentation import NO_GRAY, SEED, drawn, example, still

from keras_unet import augment, variation
from keras_unet.augment import AugmentationSettings, TileAugmenter


def test_gray_values_follow_exponent_contrast_brightness_and_noise():
    image = np.array([0.0, 64.0, 256.0, 160.0], np.float32).reshape(2, 2, 1) + 100
    relative = np.array([0.0, 0.25, 1.0, 0.625]) ** 0.5
    deviates = np.array([1.0, -1.0, 0.0, 2.0])
    expected = relative.mean() + 1.2 * (relative - relative.mean()) - 0.1 + 0.05 * deviates
    ours = augment.vary_gray_values(
        tf.constant(image),
        tf.constant([0.5, 1.2, -0.1, 0.05]),
        value_range=(100.0, 356.0),
        noise=tf.constant(deviates.reshape(2, 2, 1), tf.float32),
    )
    np.testing.assert_allclose(np.ravel(ours), 100 + 256 * expected, rtol=1e-5)


def test_noise_is_near_normal_and_without_pattern():
    noise = variation.pixel_noise([256, 250, 2], tf.constant([SEED, 1])).numpy()
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(noise) > 2) == pytest.approx(0.0455, abs=0.01)
    for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)):
        assert abs(np.mean(noise * np.roll(noise, step, (0, 1, 2)))) < 0.02


def test_noise_is_the_same_compiled_and_not_and_differs_by_seed():
    compiled = tf.function(variation.pixel_noise, jit_compile=True)
    fields = [variation.pixel_noise([64, 60, 1], tf.constant(seed)).numpy() for seed in ([1, 2], [2, 1], [-1, 2])]
    np.testing.assert_allclose(compiled([64, 60, 1], tf.constant([1, 2])), fields[0], atol=1e-6)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(fields[one].ravel(), fields[other].ravel())[0, 1]) < 0.05


def test_each_tile_has_the_noise_of_its_draw():
    settings = AugmentationSettings(**{**NO_GRAY, "noise": 0.04})
    augmenter = TileAugmenter(settings, input_size=(48, 48), value_range=(0.0, 255.0), jit_compile=False)
    flat = (np.full((60, 60, 1), 128, np.uint8), np.zeros((60, 60), np.int32), np.ones((60, 60), np.float32))
    tiles = []
    for seed in ([1, 2], [1, 3], [1, 2]):
        draw = still()._replace(gray=tf.constant([1.0, 1.0, 0.0, 0.04]), noise_seed=tf.constant(seed))
        tiles.append(augmenter.apply(*flat, centre=np.float32((30, 30)), drawn=draw)[0].numpy().ravel())
    np.testing.assert_array_equal(tiles[0], tiles[2])
    assert tiles[0].std() == pytest.approx(0.04 * 255, rel=0.1)
    assert abs(np.corrcoef(tiles[0], tiles[1])[0, 1]) < 0.1


def test_gray_variation_is_relative_to_the_value_range():
    image, label, weight = example(60, 60)
    small, large = (
        TileAugmenter(AugmentationSettings(), input_size=(48, 48), value_range=(0.0, high), jit_compile=False)
        for high in (255.0, 255.0 * 257)
    )
    one = small(image, label, weight, centre=(30, 30), seed=8)[0]
    other = large(image.astype(np.uint16) * 257, label, weight, centre=(30, 30), seed=8)[0]
    np.testing.assert_allclose(other / 257, one, atol=1e-2)


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
