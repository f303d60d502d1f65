"""Updates: the rate that the log shows, and AdamW without decay."""

import keras
import numpy as np
import pytest
from helpers.runs import noise, tiny, tiny_trainer, weights

from keras_unet.training.optimizers import WarmUpAndDecay, build_optimizer


def test_the_learning_rate_is_that_of_the_last_update() -> None:
    schedule = WarmUpAndDecay(0.1, 10, "cosine", warmup_steps=3)
    trainer = tiny_trainer(keras.optimizers.SGD(schedule))
    assert trainer.learning_rate == pytest.approx(0.1 / 3), "of the first update, which is to come"
    batches = trainer.batches(noise())
    for steps, last in ((1, 0), (1, 1), (3, 4)):
        trainer.run(batches, steps)
        assert trainer.learning_rate == pytest.approx(float(schedule(last)))
    assert tiny_trainer(keras.optimizers.Adam(0.25)).learning_rate == 0.25


def test_adamw_trains_with_the_default_decay_as_adam_does() -> None:
    moved = []
    for name in ("adam", "adamw"):
        trainer = tiny_trainer(build_optimizer(tiny(optimizer_name=name).optimizer, 10), dropout=0.0)
        trainer.run(trainer.batches(noise()), 2)
        moved.append(weights(trainer.model))
    np.testing.assert_array_equal(*moved)
