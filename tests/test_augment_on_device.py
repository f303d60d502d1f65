"""`training.augment_on = "device"`: tiles are warped within the step, and are those that the CPU would have made."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.runs import cells, quiet, tiny, weights

from keras_unet import training
from keras_unet.commands import preview
from keras_unet.geometry import Geometry
from keras_unet.pipeline import prepare, tile_warp, training_dataset
from keras_unet.training.checkpoints import restore, snapshot
from keras_unet.training.loop import DivergedError, Trainer
from keras_unet.training.split import split

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
    trainer = training.train.build_trainer(config, parts.train)
    batches_from, _ = training.train.build_datasets(config, parts, trainer.model.geometry)
    return trainer, batches_from


@pytest.mark.parametrize("batch_size", [1, 3])
def test_cuts_that_are_warped_later_are_the_tiles_of_the_cpu(batch_size: int) -> None:
    batches = partial(training_dataset, prepare(cells()), NET, TILE, batch_size=batch_size, seed=3, first_batch=4)
    warp = tile_warp(cells().value_range, NET, TILE)
    for expected, cut in zip(batches().take(4), batches(cut_only=True).take(4), strict=True):
        received = warp(cut)
        assert_same_tiles(expected, received)
        assert received[0].shape == (batch_size, TILE, TILE, 1)


def test_images_travel_as_they_were_read() -> None:
    cut = training_dataset(prepare(cells()), NET, TILE, cut_only=True).element_spec
    assert (cut.image.dtype, cut.label.dtype, cut.weight.dtype) == (tf.uint8, tf.int32, tf.float32)


@pytest.mark.parametrize("changes", [{}, {"training_accumulate": 2}, {"training_xla": True}])
def test_training_gives_the_weights_of_the_cpu(changes: dict[str, Any]) -> None:
    trained = []
    for place in ("cpu", "device"):
        trainer, batches_from = prepared(place, **changes)
        trainer.run(trainer.batches(batches_from(0)), 4)
        trained.append(weights(trainer.model))
    assert np.abs(trained[0] - trained[1]).max() < 1e-4


def test_a_resumed_trainer_sees_the_tiles_of_an_uninterrupted_one() -> None:
    whole, batches_from = prepared("device")
    whole.run(whole.batches(batches_from(0)), 2)
    arrays = snapshot(whole)
    whole.run(whole.batches(batches_from(2)), 2)
    resumed, batches_from = prepared("device")
    restore(resumed, arrays)
    resumed.run(resumed.batches(batches_from(2)), 2)
    assert np.abs(weights(whole.model) - weights(resumed.model)).max() < 1e-6


TWO_DEVICES = """
import sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
import numpy as np
from test_augment_on_device import cells, split, tiny, training, weights
from keras_unet.training.distribution import choose_strategy

def trained(place, accumulate, strategy=None):
    config = tiny(
        optimizer_name="sgd", model_dropout=0.0, training_accumulate=accumulate, training_augment_on=place
    )
    parts = split(cells(), config.data)
    trainer = training.train.build_trainer(config, parts.train, strategy)
    batches_from, _ = training.train.build_datasets(config, parts, trainer.model.geometry, strategy)
    trainer.run(trainer.batches(batches_from(0)), 3)
    return weights(trainer.model)

pair = choose_strategy(["CPU:0", "CPU:1"])
assert pair.num_replicas_in_sync == 2
for accumulate in (1, 2):
    difference = np.abs(trained("cpu", accumulate) - trained("device", accumulate, pair)).max()
    assert difference < 1e-4, difference
"""


def test_two_devices_warp_their_shares() -> None:
    script = TWO_DEVICES.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_run_and_the_batch_that_it_diverges_at_hold_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Trainer.run

    def breaking(self: Trainer, batches: Any, steps: int) -> float:
        loss = run(self, batches, steps)
        if self.optimizer.iterations == 4:
            raise DivergedError("Expected a finite loss. Received nan.", 0)
        return loss

    monkeypatch.setattr(Trainer, "run", breaking)
    config = tiny(training_augment_on="device", training_steps_per_call=1)
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
