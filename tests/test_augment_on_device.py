"""`training.augment_on = "device"`: tiles are warped within the step, and are those that the CPU would have made."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.runs import cells, quiet, tiny, weights

from keras_unet import training
from keras_unet.commands import preview
from keras_unet.models.geometry import Geometry
from keras_unet.pipeline.examples import prepare
from keras_unet.pipeline.tile_datasets import tile_warp, training_dataset
from keras_unet.training.checkpoints import restore, snapshot
from keras_unet.training.data_split import split
from keras_unet.training.trainer import DivergedError, Trainer

NET = Geometry(depth=1)
TILE = 36  # 20 come out


def assert_same_tiles(expected: tuple[Any, ...], received: tuple[Any, ...]) -> None:
    """To rounding: compilers order sums over batches of other sizes otherwise."""
    for part, same in zip(expected, received, strict=True):
        assert part.dtype == same.dtype
        np.testing.assert_allclose(same, part, rtol=1e-4, atol=0.01)


def prepared(place: str, **changes: Any) -> tuple[Trainer, Any]:
    """A fresh trainer, and its training dataset from a batch number on. SGD, as Adam magnifies rounding."""
    config = tiny(optimizer_name="sgd", training_augment_on=place, **changes)
    parts = split(cells(), config.data)
    trainer = training.training_run.build_trainer(config, parts.train)
    batches_from, _ = training.training_run.build_datasets(config, parts, trainer.model.geometry)
    return trainer, batches_from


@pytest.mark.parametrize("batch_size", [1, 3])
def test_cuts_that_are_warped_later_are_the_tiles_of_the_cpu(batch_size: int) -> None:
    batches = partial(training_dataset, prepare(cells()), NET, TILE, batch_size=batch_size, seed=3, first_batch=4)
    warp = tile_warp(NET, TILE)
    for expected, cut in zip(batches().take(4), batches(cut_only=True).take(4), strict=True):
        received = warp(cut)
        assert_same_tiles(expected, received)
        assert received[0].shape == (batch_size, TILE, TILE, 1)


def test_images_travel_as_they_were_read() -> None:
    cut = training_dataset(prepare(cells()), NET, TILE, cut_only=True).element_spec
    assert (cut.image.dtype, cut.label.dtype, cut.weight.dtype) == (tf.uint8, tf.int32, tf.float32)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"training_accumulate": 2},
        pytest.param({"training_xla": True}, marks=pytest.mark.slow),
    ],
)
def test_training_gives_the_weights_of_the_cpu(changes: dict[str, Any]) -> None:
    """Under XLA those without it; without dropout, whose random numbers differ there."""
    expected = trained("cpu", changes.get("training_accumulate", 1))
    assert np.abs(expected - trained("device", **changes)).max() < 1e-4


@cache
def trained(place: str, training_accumulate: int = 1, training_xla: bool = False) -> np.ndarray:
    changes = {"training_accumulate": training_accumulate, "training_xla": training_xla, "model_dropout": 0.0}
    trainer, batches_from = prepared(place, **changes)
    trainer.run(trainer.batches(batches_from(0)), 4)
    return weights(trainer.model)


def test_a_resumed_trainer_sees_the_tiles_of_an_uninterrupted_one() -> None:
    trainer, batches_from = prepared("device")
    batches = trainer.batches(batches_from(0))
    trainer.run(batches, 2)
    arrays = snapshot(trainer)
    trainer.run(batches, 2)
    uninterrupted = weights(trainer.model)
    restore(trainer, arrays)
    assert np.abs(weights(trainer.model) - uninterrupted).max() > 1e-4
    trainer.run(trainer.batches(batches_from(2)), 2)
    assert np.abs(weights(trainer.model) - uninterrupted).max() < 1e-6


def test_the_batch_that_a_run_diverges_at_holds_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(self: Trainer, batches: Any, steps: int) -> float:
        raise DivergedError("Expected a finite loss. Received nan.", 3)

    monkeypatch.setattr(Trainer, "run", breaking)
    config = tiny(training_augment_on="device")
    with pytest.raises(DivergedError, match="Batch 3 is kept in"):
        training.run(config, tmp_path / "run", data=cells(), say=quiet)
    _, batches_from = prepared("cpu")
    with np.load(tmp_path / "run" / "diverged-batch-3.npz") as kept:
        received = tuple(kept[name] for name in ("image", "label", "weight"))
    assert_same_tiles(next(batches_from(3).as_numpy_iterator()), received)


def test_the_preview_shows_tiles(tmp_path: Path) -> None:
    for place in ("cpu", "device"):
        preview.preview(tiny(training_augment_on=place), tmp_path / f"{place}.png", tiles=2, data=cells())
    assert (tmp_path / "cpu.png").read_bytes() == (tmp_path / "device.png").read_bytes()
