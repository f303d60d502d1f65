"""Nets whose result depends on the tile take the training tile, however much memory is free."""

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.inference import tiling

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90)).astype(np.uint8)


def net(**changes: object) -> ku.UNet:
    keras.utils.set_random_seed(2)
    arguments = {"filters": 2, "depth": 1, "padding": "same", "normalization": "group", "dropout": 0.0}
    return ku.UNet(**{"input_shape": (None, None, 1), **arguments, **changes})


@pytest.mark.parametrize("free", [10**6, 10**9])
@pytest.mark.parametrize(
    ("changes", "tile"),
    [
        ({"training_tile": 32}, (32, 32)),
        ({"input_shape": (32, 48, 1)}, (32, 48)),
        ({"input_shape": (32, 48, 1), "training_tile": 64}, (64, 64)),
        ({"training_tile": 2}, (22, 22)),  # the smallest there is
        ({}, (572, 572)),
    ],
)
def test_the_tile_does_not_depend_on_free_memory(
    changes: dict[str, object], tile: tuple[int, int], free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiling, "free_memory", lambda: free)
    model = net(**changes)
    assert tiling.tiler_for(model).tile == tiling.tiler_for(model, memory=10**5).tile == tile
    assert tiling.tiler_for(model, 64).tile == (64, 64), "what is asked for wins"


def test_prediction_is_that_of_training_tiles() -> None:
    model = net(training_tile=32)
    np.testing.assert_array_equal(ku.predict(model, IMAGE), ku.predict(model, IMAGE, tile=32))


def test_the_tile_of_training_is_kept_in_the_file(tmp_path: Path) -> None:
    net(training_tile=32).save(tmp_path / "net.keras")
    assert ku.load_model(tmp_path / "net.keras").training_tile == (32, 32)
    with pytest.raises(ValueError, match="Expected a whole number of at least 1 for training_tile"):
        net(training_tile=0.5)
