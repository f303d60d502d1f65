"""Averaged weights: the exponential average, and that it is what a run keeps."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.runs import noise, tiny, tiny_trainer, weights

import keras_unet as ku
from keras_unet.training import checkpoints
from keras_unet.training.optimizers import build_optimizer


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_average_is_exponential_and_begins_at_the_first_update(precision: str) -> None:
    optimizer = build_optimizer(tiny(optimizer_ema_decay=0.75).optimizer, 10, precision)
    trainer = tiny_trainer(optimizer, dtype=precision)
    batches, history = trainer.batches(noise()), []
    for _ in range(3):
        trainer.run(batches, 1)
        history.append(weights(trainer.model))
    expected = history[0]
    for latest in history[1:]:
        expected = 0.75 * expected + 0.25 * latest
    with trainer.averaged_weights(noise()):
        np.testing.assert_allclose(weights(trainer.model), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(weights(trainer.model), history[-1])


def test_before_the_first_update_and_without_averages_the_weights_are_themselves() -> None:
    for optimizer in (keras.optimizers.Adam(0.01, use_ema=True), keras.optimizers.Adam(0.01)):
        trainer = tiny_trainer(optimizer)
        before = weights(trainer.model)
        with trainer.averaged_weights(noise()):
            np.testing.assert_array_equal(weights(trainer.model), before)


def test_batch_normalization_takes_the_statistics_of_the_averages_and_training_its_own_again() -> None:
    trainer, other = (
        tiny_trainer(keras.optimizers.Adam(0.01, use_ema=True), normalization="batch", batch_momentum=0.9)
        for _ in range(2)
    )
    batches = trainer.batches(noise())
    trainer.run(batches, 3)
    before = [variable.numpy() for variable in trainer.model.variables]
    with trainer.averaged_weights(noise()):
        norm = next(layer for layer in trainer.model.layers if isinstance(layer, keras.layers.BatchNormalization))
        entering = keras.Model(trainer.model.inputs, norm.input)
        seen = [entering(image).numpy() for image, *_ in noise().take(32)]  # 64 tiles
        of_batches = np.mean([[batch.mean((0, 1, 2)), batch.var((0, 1, 2))] for batch in seen], axis=0)
        np.testing.assert_allclose([norm.moving_mean.numpy(), norm.moving_variance.numpy()], of_batches, rtol=1e-4)
    for variable, value in zip(trainer.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    trainer.run(batches, 2)
    other.run(other.batches(noise()), 5)
    np.testing.assert_array_equal(weights(trainer.model), weights(other.model))


def test_the_averages_are_what_is_kept_beside_the_latest_weights(finished: tuple[Path, dict[str, Any]]) -> None:
    """In the model the averages of the best step, in its checkpoint both; `test_training_resumed` has them resumed."""
    folder, report = finished
    best = report["best_step"]
    assert checkpoints.read(folder / "checkpoints" / "step-00000006.npz")[1].best_step == best
    stored, _ = checkpoints.read(folder / "checkpoints" / f"step-{best:08d}.npz")
    kept = ku.load_model(folder / "model.keras").weights[0]
    latest, averages = stored[f"model/{kept.path}"], [stored[name] for name in stored if name.startswith("optimizer/")]
    assert not np.array_equal(np.asarray(kept), latest)
    assert any(np.array_equal(np.asarray(kept), average) for average in averages)
