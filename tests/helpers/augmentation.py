"""What tests of augmentation share: images and draws, tiles cut by them, and the same by SciPy in float64."""

from functools import cache

import numpy as np
import tensorflow as tf
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from keras_unet import augment
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.random_draws import Draw
from keras_unet.augment.tile_augmenter import TileAugmenter

NO_GRAY = {"brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "noise": 0.0}
SEED = 7


def example(height=96, width=80, channels=1, seed=0):
    """A noisy image (hardest to interpolate), labels with odd ids, weights."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    label = rng.choice([0, 3, 200], (height, width)).astype(np.int32)
    return image, label, rng.uniform(1, 11, (height, width)).astype(np.float32)


def still(matrix=((1, 0), (0, 1)), shift=(0, 0), knots=None, magnification=1.0, blur=0.0):
    """A draw with a given geometry and blur."""
    knots = np.zeros((3, 3, 2), np.float32) if knots is None else knots
    return Draw(
        *(tf.constant(part, tf.float32) for part in (knots, matrix, magnification, shift, blur, (1, 1, 0, 0))),
        tf.constant([0, 0]),
    )


@cache
def tile_augmenter(settings, tile, **options):
    """One for all tests that want the same: a compiled warp takes a second, and serves images of any size."""
    return TileAugmenter(settings, input_size=tile, **options)


def warp(draw, arrays, tile, centre=None, settings=None, **options):
    """Cut with a given draw; by default a tile in the middle of the image."""
    height, width = arrays[1].shape
    centre = ((height - 1) / 2, (width - 1) / 2) if centre is None else centre
    augmenter = tile_augmenter(settings or AugmentationSettings(**NO_GRAY), tile, **options)
    return [part.numpy() for part in augmenter.apply(*arrays, centre=np.float32(centre), drawn=draw)]


def scipy_positions(knots, tile, centre, matrix=((1, 0), (0, 1)), span=None):
    """Sampling positions of a tile in float64, by SciPy's clamped splines along both axes."""
    field = np.float64(knots)
    grids = []
    for axis, size in enumerate(tile):
        half = max(size - 1, span or 0) / 2
        field = CubicSpline(np.linspace(-half, half, len(knots)), field, axis=axis, bc_type="clamped")(
            np.arange(size) - (size - 1) / 2
        )
        grids.append(np.arange(size) - (size - 1) / 2)
    offset = np.stack(np.meshgrid(*grids, indexing="ij"), -1) + field
    return np.moveaxis(offset @ np.float64(matrix).T + centre, -1, 0)


@cache
def drawn(settings, count=300):
    """Many draws, each with a seed of its own: one array for each part."""
    dataset = tf.data.Dataset.range(count).map(lambda index: augment.draw([SEED, index], settings)).batch(count)
    return Draw(*(part.numpy() for part in dataset.get_single_element()))


def turn(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def assert_same_as_scipy(result, arrays, positions):
    image, label, weight = arrays
    for channel in range(image.shape[-1]):
        assert_close_where_steep(result[0][..., channel], image[..., channel], positions)
    assert_close_where_steep(result[2], weight, positions)
    from_tie = np.abs(positions % 1 - 0.5).min(axis=0)
    expected = map_coordinates(label, positions, order=0, mode="mirror")
    assert np.array_equal(result[1][from_tie > 1e-3], expected[from_tie > 1e-3])


def assert_close_where_steep(ours, source, positions):
    """Equal but for the rounding of float32 positions (6e-5 px from 512 px on) times the steepest step."""
    expected = map_coordinates(np.float64(source), positions, order=1, mode="mirror")
    pixels = 1e-4 if np.abs(positions).max() < 512 else 4e-4
    np.testing.assert_allclose(ours, expected, atol=pixels * np.ptp(source) + 1e-6)
