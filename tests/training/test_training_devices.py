"""Several devices in one process: steps like those of one, batches that they can share."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_unet.training.config import ConfigError

MIRRORED = """
import sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
import numpy as np
from helpers import runs as t
from keras_unet.training.distribution import choose_strategy
strategy = choose_strategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
alone = t.tiny_trainer(dropout=0.0)
with strategy.scope():
    pair = t.tiny_trainer(dropout=0.0)
losses = [trainer.run(trainer.batches(t.noise()), 3) for trainer in (alone, pair)]
assert abs(losses[0] - losses[1]) < 1e-6, losses
assert np.abs(t.weights(alone.model) - t.weights(pair.model)).max() < 1e-5
"""


def test_two_devices_train_like_one_with_the_same_batch() -> None:
    script = MIRRORED.format(tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_batch_that_devices_cannot_share_is_refused() -> None:
    from types import SimpleNamespace

    from keras_unet.training.distribution import check_batch_size

    with pytest.raises(ConfigError, match="multiple of 4, .* Received 6. Nearest: 4 or 8"):
        check_batch_size(6, SimpleNamespace(num_replicas_in_sync=4))
