"""Turns, flips and shifts are those of NumPy to the bit, and draws of them fill their ranges."""

import numpy as np
import pytest
from helpers.augmentation import drawn, example, still, turn, warp

from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.tile_augmenter import TileAugmenter


def test_nothing_random_cuts_the_tile_as_it_is():
    image, label, weight = example()
    tile = TileAugmenter(AugmentationSettings.none(), input_size=(32, 24))
    result = tile(image, label, weight, centre=(10 + 15.5, 20 + 11.5), seed=1)
    np.testing.assert_array_equal(result[0], image[10:42, 20:44])
    np.testing.assert_array_equal(result[1], label[10:42, 20:44])
    np.testing.assert_array_equal(result[2], weight[10:42, 20:44])


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("size", [64, 65])
def test_quarter_turns_are_those_of_numpy(quarters, size):
    arrays = example(size, size)
    result = warp(still(np.round(turn(90 * quarters))), arrays, (size, size))
    for ours, source in zip(result, arrays, strict=True):
        np.testing.assert_array_equal(ours, np.rot90(source, quarters))


@pytest.mark.parametrize(("matrix", "axis"), [(((-1, 0), (0, 1)), 0), (((1, 0), (0, -1)), 1)])
def test_flips_are_those_of_numpy(matrix, axis):
    arrays = example(64, 50)
    for ours, source in zip(warp(still(matrix), arrays, (64, 50)), arrays, strict=True):
        np.testing.assert_array_equal(ours, np.flip(source, axis))


def test_shifts_move_whole_pixels_and_mirror_at_the_border():
    arrays = example(64, 50)
    result = warp(still(shift=(70, -9)), arrays, (64, 50))
    for ours, source in zip(result, arrays, strict=True):
        padding = [(140, 140), (60, 60)] + [(0, 0)] * (source.ndim - 2)
        np.testing.assert_array_equal(ours, np.pad(source, padding, mode="reflect")[210:274, 51:101])


def test_drawn_matrices_turn_and_flip_and_nothing_else():
    matrices = drawn(AugmentationSettings()).matrix
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(2), (300, 1, 1)), atol=1e-5)
    assert 0.4 < (np.linalg.det(matrices) < 0).mean() < 0.6
    angles = np.arctan2(matrices[:, 0, 1], matrices[:, 1, 1])
    assert np.histogram(angles, bins=4, range=(-np.pi, np.pi))[0].min() > 50


def test_drawn_magnifications_halve_as_often_as_they_double():
    scales = drawn(AugmentationSettings(scale=(0.5, 2.0))).magnification
    assert 0.5 <= scales.min() < 0.55
    assert 1.8 < scales.max() <= 2.0001
    assert 0.4 < (scales < 1).mean() < 0.6


def test_drawn_shifts_fill_their_range():
    shifts = drawn(AugmentationSettings(shift=16.0)).shift
    assert -16 <= shifts.min() < -15
    assert 15 < shifts.max() <= 16
