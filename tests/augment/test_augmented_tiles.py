"""Tiles: image, label and weight stay together, and a seed gives one tile, eager, in graphs and in parallel."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from helpers.augmentation import NO_GRAY, SEED, example, tile_augmenter

from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.tile_augmenter import TileAugmenter


def test_image_label_and_weight_stay_together():
    rows, columns = np.mgrid[:200, :200]
    cells = ((rows // 40 + columns // 40) % 2 * 200).astype(np.int32)
    augmenter = TileAugmenter(AugmentationSettings(**NO_GRAY), input_size=(180, 180), output_size=(88, 88))
    for seed in range(5):
        image, label, weight = augmenter(
            cells[..., None].astype(np.uint8), cells, cells.astype(np.float32), centre=(90, 100), seed=seed
        )
        centre = image.numpy()[46:134, 46:134, 0]
        np.testing.assert_array_equal(centre, weight)
        clear = np.abs(centre - 100) > 1
        np.testing.assert_array_equal((centre > 100)[clear], (label.numpy() > 100)[clear])
        assert np.unique(label).tolist() == [0, 200]


def test_label_and_weight_of_a_valid_net_are_the_centre_of_the_whole_tile():
    arrays = example(300, 280)
    whole, inner = (
        TileAugmenter(AugmentationSettings(), input_size=(204, 220), output_size=output, jit_compile=False)(
            *arrays, centre=(150, 140), seed=5
        )
        for output in (None, (20, 36))
    )
    np.testing.assert_allclose(inner[0], whole[0], atol=1e-3)
    np.testing.assert_array_equal(inner[1], whole[1][92:112, 92:128])
    np.testing.assert_allclose(inner[2], whole[2][92:112, 92:128], atol=1e-4)


DTYPES = ["uint8", "uint16", "int32", "int64"]


@pytest.mark.parametrize(
    ("dtype", "jit_compile"),
    [*((dtype, False) for dtype in DTYPES), *(pytest.param(dtype, True, marks=pytest.mark.slow) for dtype in DTYPES)],
)
def test_labels_are_never_blended_and_keep_their_dtype(dtype, jit_compile):
    image, label, weight = example()
    label = np.where(label > 0, label, 0).astype(dtype)
    augmenter = tile_augmenter(AugmentationSettings(), (64, 64), jit_compile=jit_compile)
    result = augmenter(image, label, weight, centre=(50, 40), seed=2)
    assert set(np.unique(result[1])) == {0, 3, 200}
    assert result[1].dtype.name == dtype


# Seeds, eager and graph


def seeded_augmenter(jit_compile):
    return tile_augmenter(AugmentationSettings(), (48, 56), jit_compile=jit_compile)


@cache
def seeded(jit_compile, parallel=None):
    """Tiles of twelve seeds, by a data set."""
    augmenter, arrays = seeded_augmenter(jit_compile), example()
    dataset = tf.data.Dataset.range(12).map(
        lambda index: augmenter(*arrays, centre=tf.constant([40.0, 40.0]), seed=tf.stack([index, SEED])),
        num_parallel_calls=parallel,
    )
    return [[part.numpy() for part in item] for item in dataset]


def assert_alike(one, other):
    """But for the rounding of another compiler."""
    np.testing.assert_allclose(one[0], other[0], atol=1e-2)
    assert np.mean(one[1] != other[1]) < 2e-3
    np.testing.assert_allclose(one[2], other[2], atol=1e-3)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_eager_function_and_dataset_agree_and_parallel_maps_give_the_same_bits(jit_compile):
    arrays, augmenter = example(), seeded_augmenter(jit_compile)
    one, many = seeded(jit_compile), seeded(jit_compile, parallel=8)
    inside = tf.function(lambda seed: augmenter(*arrays, centre=(40.0, 40.0), seed=seed))
    for index, (alone, beside) in enumerate(zip(one, many, strict=True)):
        seed = tf.constant([index, SEED], tf.int64)
        for other in (augmenter(*arrays, centre=(40.0, 40.0), seed=seed), inside(seed)):
            assert_alike(alone, other)
        for part, same in zip(alone, beside, strict=True):
            np.testing.assert_array_equal(part, same)


def test_tiles_are_alike_compiled_and_not():
    for compiled, plain in zip(seeded(True), seeded(False), strict=True):
        assert_alike(compiled, plain)


def test_other_seeds_give_other_tiles():
    tiles = [item[0] for item in seeded(True)]
    assert len({tile.tobytes() for tile in tiles}) == len(tiles)


def test_images_of_many_sizes_are_compiled_once():
    augmenter = TileAugmenter(AugmentationSettings.none(), input_size=(48, 48))
    dataset = tf.data.Dataset.from_generator(
        lambda: (example(50 + 9 * index, 60 - 7 * index) for index in range(4)),
        output_signature=(
            tf.TensorSpec((None, None, 1), tf.uint8),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None), tf.float32),
        ),
    ).map(lambda *arrays: augmenter(*arrays, centre=(20, 20), seed=1))
    assert dataset.element_spec[0].shape == (48, 48, 1)
    assert len(list(dataset)) == 4
    assert augmenter.warp.compiled.experimental_get_tracing_count() == 1
