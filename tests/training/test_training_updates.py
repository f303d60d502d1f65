"""Updates: the rate that the log shows, AdamW without decay, and clipping that does not see how a batch is divided."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.runs import noise, tiny, tiny_trainer, weights

from keras_unet.training.optimizers import WarmUpAndDecay, build_optimizer

CLIPPED = """
import sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
import keras
import numpy as np
from helpers.runs import noise, tiny_trainer, weights
from keras_unet.training.distribution import choose_strategy
strategy = choose_strategy(["CPU:0", "CPU:1"])
def moved(accumulate):
    trainer = tiny_trainer(keras.optimizers.SGD(1.0, global_clipnorm=0.05), accumulate=accumulate, dropout=0.0)
    before = weights(trainer.model)
    trainer.run(trainer.batches(noise()), 1)
    return weights(trainer.model) - before
for accumulate in (1, 2):
    alone = moved(accumulate)
    with strategy.scope():
        pair = moved(accumulate)
    assert abs(np.linalg.norm(alone) - 0.05) < 1e-6, np.linalg.norm(alone)
    assert np.abs(alone - pair).max() < 1e-6, np.linalg.norm(pair)
"""


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


def test_two_devices_clip_the_gradient_of_the_whole_batch() -> None:
    script = CLIPPED.format(tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
