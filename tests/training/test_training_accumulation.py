"""Gradient accumulation: N batches, one update, as of a batch N times as large."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.runs import noise, tiny_trainer, weights

import keras_unet as ku


def large(batches: int) -> tf.data.Dataset:
    """Batches as large as several of `noise()` together."""
    return noise().unbatch().batch(2 * batches)


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        (lambda: keras.optimizers.Adam(0.01), 3),
        (lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.05), 2),
    ],
)
def test_an_update_equals_that_of_the_larger_batch(rule: Any, parts: int) -> None:
    """Clipping acts on the averaged gradient. Compared with Keras' own `train_on_batch`."""
    accumulating = tiny_trainer(rule(), accumulate=parts, dropout=0.0)
    loss = accumulating.run(accumulating.batches(noise()), 2)
    model = tiny_trainer(dropout=0.0).model
    model.compile(rule(), loss=ku.WeightedCrossentropy())
    losses = [model.train_on_batch(*batch) for batch in large(parts).take(2)]
    assert loss == pytest.approx(np.mean(losses), abs=1e-5)
    assert np.abs(weights(model) - weights(accumulating.model)).max() < 1e-5
    assert accumulating.optimizer.iterations == 2


def run_script(script: str, cwd: Path | None = None) -> None:
    """In a process of its own, which finds what stands beside this file and one folder up."""
    folders = [str(folder) for folder in Path(__file__).parents[:2]]
    command = [sys.executable, "-c", script.format(folders=folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]


TWO_DEVICES = """
import sys
sys.path[:0] = {folders!r}
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
import keras
import numpy as np
from test_training_accumulation import large, noise, tiny_trainer, weights
from keras_unet.training.distribution import choose_strategy

def rule(name="adam"):
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5)

alone = tiny_trainer(rule(), dropout=0.0)
with choose_strategy(["CPU:0", "CPU:1"]).scope():
    pair = tiny_trainer(rule(), accumulate=3, dropout=0.0)
assert pair.strategy.num_replicas_in_sync == 2
losses = [alone.run(alone.batches(large(3)), 2), pair.run(pair.batches(noise()), 2)]
assert abs(losses[0] - losses[1]) < 1e-5, losses
assert np.abs(weights(alone.model) - weights(pair.model)).max() < 1e-5
latest = weights(pair.model)
with alone.averaged_weights(), pair.averaged_weights():
    assert np.abs(weights(alone.model) - weights(pair.model)).max() < 1e-5
    assert np.abs(weights(pair.model) - latest).max() > 1e-4
assert np.array_equal(weights(pair.model), latest)
"""


def test_two_devices_accumulate_and_average_like_one_with_the_larger_batch() -> None:
    run_script(TWO_DEVICES)


DETERMINISTIC = """
import sys
sys.path[:0] = {folders!r}
from helpers.runs import cells, quiet, tiny
from keras_unet import training
whole = dict(model_dropout=0.0, training_steps=4, training_deterministic=True)
training.run(tiny(**whole), "joint", data=cells(), say=quiet)
training.run(tiny(**whole, training_batch_size=1, training_accumulate=2), "parts", data=cells(), say=quiet)
"""


def test_steps_count_updates_and_the_data_follow(tmp_path: Path) -> None:
    """Two tiles at a time or one by one: the same tiles, the same log, the same weights; resumed in between as well.

    Operations are then deterministic in the whole process, which other tests, those of XLA, cannot have.
    """
    run_script(DETERMINISTIC, cwd=tmp_path)
    runs = ("joint", "parts")
    joint, parts = (ku.load_model(tmp_path / name / "model.keras") for name in runs)
    assert np.abs(weights(joint) - weights(parts)).max() < 1e-5
    logs = [np.genfromtxt(tmp_path / name / "log.csv", delimiter=",", skip_header=1)[:, :3] for name in runs]
    np.testing.assert_allclose(*logs, rtol=1e-4)
