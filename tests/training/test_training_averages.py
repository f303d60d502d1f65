"""Averaged weights: the exponential average that is validated, kept and resumed."""

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.resumed_runs import run_until_killed
from helpers.runs import cells, noise, quiet, tiny, tiny_trainer, weights

import keras_unet as ku
from keras_unet import training
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
    with trainer.averaged_weights():
        np.testing.assert_allclose(weights(trainer.model), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(weights(trainer.model), history[-1])


def test_before_the_first_update_and_without_averages_the_weights_are_themselves() -> None:
    for optimizer in (keras.optimizers.Adam(0.01, use_ema=True), keras.optimizers.Adam(0.01)):
        trainer = tiny_trainer(optimizer)
        before = weights(trainer.model)
        with trainer.averaged_weights():
            np.testing.assert_array_equal(weights(trainer.model), before)


def test_the_averages_are_validated_and_kept_and_resumed_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(optimizer_ema_decay=0.5, training_accumulate=2, training_batch_size=1)
    training.run(config, tmp_path / "whole", data=cells(), say=quiet)
    run_until_killed(config, tmp_path / "resumed", monkeypatch)
    training.run(config, tmp_path / "resumed", data=cells(), say=quiet)

    last = "checkpoints/step-00000006.npz"
    whole, resumed = (checkpoints.read(tmp_path / name / last)[0] for name in ("whole", "resumed"))
    assert whole.keys() == resumed.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
    models = [ku.load_model(tmp_path / name / "model.keras") for name in ("whole", "resumed")]
    np.testing.assert_array_equal(weights(models[0]), weights(models[1]))

    best = checkpoints.read(tmp_path / "whole" / last)[1].best_step
    stored, _ = checkpoints.read(tmp_path / "whole" / "checkpoints" / f"step-{best:08d}.npz")
    kept = models[0].weights[0]
    latest, averages = stored[f"model/{kept.path}"], [stored[name] for name in stored if name.startswith("optimizer/")]
    assert not np.array_equal(np.asarray(kept), latest)
    assert any(np.array_equal(np.asarray(kept), average) for average in averages)
