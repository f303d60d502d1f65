"""Test-time averaging: logits averaged over the symmetries of a tile, in one pass and tiled alike."""

from functools import partial

import numpy as np
import pytest
from helpers.nets import net as any_net
from scipy.special import softmax

from keras_unet.inference.forward import AVERAGING, Symmetry
from keras_unet.inference.tiling import predict

# By NumPy: quarter turns of the tile itself and of its mirror image.
TURNS = {
    "none": [(0, False)],
    "flips": [(0, False), (0, True), (2, False), (2, True)],
    "rotations": [(0, False), (1, False), (2, False), (3, False)],
    "square": [(turns, mirrored) for turns in range(4) for mirrored in (False, True)],
}


net = partial(any_net, seed=1, channels=2, num_classes=3, filters=4, depth=1, value_range=(0, 1))


def noise(*size):
    return np.random.default_rng(3).random((*size, 2), np.float32)


@pytest.mark.parametrize("averaging", AVERAGING)
def test_logits_are_averaged_before_the_softmax(averaging):
    model, image = net(), noise(68, 68)  # one legal tile of this net, 52 pixels out
    logits = []
    for turns, mirrored in TURNS[averaging]:
        seen = np.rot90(image[:, ::-1] if mirrored else image, turns)
        back = np.rot90(model.predict(seen[None], verbose=0)[0], -turns)
        logits.append(back[:, ::-1] if mirrored else back)
    expected = softmax(np.mean(logits, axis=0), axis=-1)
    margin = model.geometry.margin
    inner = image[margin:-margin, margin:-margin]
    found = predict(model, image, tile=68 + 64, averaging=averaging)[margin:-margin, margin:-margin]
    assert inner.shape[:2] == expected.shape[:2] == found.shape[:2]
    assert margin % model.geometry.stride == 0  # the tile's grid is that of the image
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"padding": "same", "upsampling": "bilinear", "num_classes": 1}], ids=str)
def test_averaged_tiles_equal_one_averaged_pass(changes):
    model = net(**changes)
    image = noise(71, 45)
    context = 2 * model.geometry.margin
    small, large = (_legal(model, size) for size in (context + 13, context + 90))
    one_pass = predict(model, image, tile=large, averaging="square")
    tiled = predict(model, image, tile=small, averaging="square", batch_size=2)
    np.testing.assert_allclose(tiled, one_pass, atol=1e-5)
    assert np.abs(one_pass - predict(model, image, tile=large)).max() > 1e-3  # it does average something


def _legal(model, size):
    from keras_unet.inference.tile_sizes import check_tile

    while True:
        try:
            check_tile(model.geometry, size, "height")
        except ValueError:
            size += 1
        else:
            return size


def test_a_symmetry_is_undone():
    for symmetry in AVERAGING["square"]:
        tiles = np.random.default_rng(0).random((2, 3, 5, 1))
        np.testing.assert_array_equal(symmetry.undo(symmetry.apply(tiles)), tiles)
    assert len(set(AVERAGING["square"])) == 8
    assert Symmetry() in AVERAGING["rotations"]


def test_an_unknown_averaging_is_refused():
    legal = "none, flips, rotations, square, rotations7"
    with pytest.raises(ValueError, match=f"Expected averaging among {legal}. Received 'all'"):
        predict(net(), noise(9, 9), averaging="all")
