"""Gradient accumulation: N batches, one update, as of a batch N times as large."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.devices import large, run_script
from helpers.runs import cells, noise, tiny, tiny_trainer, weights

import keras_unet as ku
from keras_unet import training
from keras_unet.training.data_split import split


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        (lambda: keras.optimizers.SGD(0.1, momentum=0.9), 2),
        pytest.param(lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.05), 2, marks=pytest.mark.slow),
        pytest.param(lambda: keras.optimizers.Adam(0.01), 3, marks=pytest.mark.slow),
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


DETERMINISTIC = """
from helpers.runs import cells, quiet, tiny
from keras_unet import training
whole = dict(model_dropout=0.0, training_steps=4, training_deterministic=True)
training.run(tiny(**whole), "joint", data=cells(), say=quiet)
training.run(tiny(**whole, training_batch_size=1, training_accumulate=2), "parts", data=cells(), say=quiet)
"""


def test_parts_of_a_batch_are_cut_as_the_whole_one() -> None:
    def cuts(**changes: Any) -> tf.data.Dataset:
        config = tiny(training_augment_on="device", **changes)
        batches_from, _ = training.training_run.build_datasets(
            config, split(cells(), config.data), config.model.geometry
        )
        return batches_from(0).unbatch().take(6)

    parts = cuts(training_batch_size=1, training_accumulate=2)
    for one, other in zip(cuts(training_batch_size=2), parts, strict=True):
        for part, same in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            np.testing.assert_array_equal(part, same)


@pytest.mark.slow
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
