"""The warp of tiles and of whole images against SciPy's `map_coordinates` with mirrored borders."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.augmentation import NO_GRAY, SEED, assert_same_as_scipy, example, scipy_positions, still, turn, warp
from scipy.ndimage import map_coordinates

from keras_unet import augment
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.tile_augmenter import TileAugmenter, elastic_deformation


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_elastic_warp_is_map_coordinates_with_mirror(channels, jit_compile):
    arrays = example(220, 240, channels)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    settings = AugmentationSettings(rotation_degrees=0, shift=0, **NO_GRAY)
    result = warp(still(knots=knots), arrays, (220, 240), settings=settings, jit_compile=jit_compile)
    positions = scipy_positions(knots, (220, 240), (109.5, 119.5))
    assert_same_as_scipy(result, arrays, positions)


def test_rotation_scale_shift_and_elastic_compose_into_one_warp():
    arrays = example(150, 170)
    matrix, shift, tile = turn(33), (5.25, -7.5), (120, 90)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    settings = AugmentationSettings(scale=(0.8, 1.5), **NO_GRAY)
    result = warp(still(matrix, shift, knots, 1.3), arrays, tile, centre=(70.0, 20.0), settings=settings)
    positions = scipy_positions(knots, tile, (75.25, 12.5), matrix / 1.3, span=187)
    assert_same_as_scipy(result, arrays, positions)


def test_smooth_images_agree_with_scipy_to_1e_4_in_gray_values():
    rows, columns = np.mgrid[:256, :256]
    image = (np.sin(rows / 40) + np.cos(columns / 30))[..., None].astype(np.float32)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    arrays = (image, np.zeros((256, 256), np.int32), image[..., 0])
    result = warp(still(knots=knots), arrays, (256, 256))
    expected = map_coordinates(
        np.float64(image[..., 0]), scipy_positions(knots, (256, 256), (127.5, 127.5)), order=1, mode="mirror"
    )
    np.testing.assert_allclose(result[0][..., 0], expected, atol=1e-4)
    np.testing.assert_allclose(result[2], expected, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(20, 17), (5, 300), (1, 40), (3, 1), (1, 1)])
def test_an_image_much_smaller_than_the_tile_is_mirrored_for_ever(height, width):
    arrays = example(height, width)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    matrix = np.float32(turn(70))
    result = warp(still(matrix, knots=knots), arrays, (96, 112))
    positions = scipy_positions(knots, (96, 112), ((height - 1) / 2, (width - 1) / 2), matrix, span=187)
    assert_same_as_scipy(result, arrays, positions)


def test_windows_cut_for_the_compiled_warp_hold_all_that_any_draw_reads():
    settings = AugmentationSettings(scale=(0.5, 2.0), shift=300.0, **NO_GRAY)
    arrays = example(900, 700)
    augmenter = TileAugmenter(settings, input_size=(40, 60), jit_compile=True)
    assert max(augmenter.source_size) < 700
    farthest = np.full((3, 3, 2), 40.0, np.float32) * np.random.default_rng(0).choice([-1, 1], (3, 3, 2))
    for centre in [(0.0, 0.0), (899.0, 699.0), (450.3, 20.8), (-250.0, 950.0)]:
        matrix = turn(123)
        result = augmenter.apply(*arrays, centre=np.float32(centre), drawn=still(matrix, (3.0, -2.0), farthest, 0.5))
        place = (centre[0] + 3.0, centre[1] - 2.0)
        assert_same_as_scipy(
            [part.numpy() for part in result],
            arrays,
            scipy_positions(farthest, (40, 60), place, matrix / 0.5, span=187),
        )


def test_the_largest_image_may_be_told_without_changing_the_result():
    arrays = example(100, 90)
    plain, told = (
        TileAugmenter(AugmentationSettings(), input_size=(64, 64), largest_image=largest, jit_compile=False)(
            *arrays, centre=(40, 50), seed=3
        )
        for largest in (None, (100, 120))
    )
    for one, other in zip(plain, told, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


# Whole images


def test_whole_images_deform_as_scipy_would():
    image, label, weight = example(200, 210)
    result = [part.numpy() for part in elastic_deformation(image, label, weight, seed=4)]
    knots = 10 * tf.clip_by_value(tf.random.stateless_normal([1, 3, 3, 2], [4, 0]), -4, 4)[0].numpy()
    assert_same_as_scipy(result, (image, label, weight), scipy_positions(knots, (200, 210), (99.5, 104.5)))


@pytest.mark.parametrize("jit_compile", [True, False])
def test_each_image_of_a_batch_has_its_own_field_shared_with_its_label(jit_compile):
    image = np.repeat(example(100, 110)[0][None], 3, axis=0)
    deformed, label = elastic_deformation(image, image[..., 0], seed=1, jit_compile=jit_compile)
    assert deformed.shape == image.shape
    assert not np.array_equal(deformed[0], deformed[1])
    ramp = np.broadcast_to(np.arange(110, dtype=np.float32), (3, 100, 110))
    smooth, steps = elastic_deformation(ramp[..., None], ramp.astype(np.int32), seed=1, jit_compile=jit_compile)
    assert np.abs(smooth[..., 0] - tf.cast(steps, tf.float32)).max() <= 0.5001
    assert np.isin(label[2], image[2]).all()


def test_an_image_alone_comes_back_alone_and_sigma_zero_changes_nothing():
    image = example(30, 40, 3)[0]
    np.testing.assert_array_equal(elastic_deformation(image, seed=1, sigma=0.0), image)


def test_one_row_of_pixels_can_be_deformed():
    for jit_compile in (True, False):
        result = elastic_deformation(np.full((1, 30, 1), 7.0, np.float32), seed=1, jit_compile=jit_compile)
        np.testing.assert_allclose(result, np.full((1, 30, 1), 7.0), rtol=1e-6)
