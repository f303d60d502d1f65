"""Several devices in one process: steps like those of one, batches that they can share."""

from types import SimpleNamespace

import pytest
from helpers.devices import run_on_two_devices
from helpers.runs import cells, tiny

from keras_unet.training.config import ConfigError
from keras_unet.training.distribution import check_batch_size
from keras_unet.training.training_run import build_trainer

SAME_BATCH = """
import numpy as np
from helpers import runs as t
alone = t.tiny_trainer(dropout=0.0)
with pair.scope():
    shared = t.tiny_trainer(dropout=0.0)
losses = [trainer.run(trainer.batches(t.noise()), 3) for trainer in (alone, shared)]
assert abs(losses[0] - losses[1]) < 1e-6, losses
assert np.abs(t.weights(alone.model) - t.weights(shared.model)).max() < 1e-5
"""

SAME_STATISTICS = """
from keras_unet.training.config import config_from_dict
from keras_unet.training.optimizers import build_optimizer
rule = {"learning_rate": 0.01, "weight_decay": 0.5, "ema_decay": 0.5}
settings = config_from_dict({"optimizer": rule}).optimizer
batch = dict(dropout=0.0, normalization="batch", batch_momentum=0.5)
alone = t.tiny_trainer(build_optimizer(settings, 3), **batch)
with pair.scope():
    shared = t.tiny_trainer(build_optimizer(settings, 3), **batch)
losses = [trainer.run(trainer.batches(t.noise()), 3) for trainer in (alone, shared)]
assert abs(losses[0] - losses[1]) < 1e-6, losses
assert np.abs(t.weights(alone.model) - t.weights(shared.model)).max() < 1e-5
with alone.averaged_weights(t.noise()), shared.averaged_weights(t.noise()):
    assert np.abs(t.weights(alone.model) - t.weights(shared.model)).max() < 1e-5  # the statistics are among them
"""

ACCUMULATED = """
import keras
import numpy as np
from helpers.devices import large
from helpers.runs import noise, tiny_trainer, weights
from keras_unet.training.trainer import Trainer

def darker(batch):
    return batch[0] / 2, batch[1], batch[2]

def trainer(accumulate):
    made = tiny_trainer(dropout=0.0)
    rule = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5)
    return Trainer(made.model, rule, made.loss, accumulate=accumulate, augment=darker)

alone = trainer(1)
with pair.scope():
    shared = trainer(3)
losses = [alone.run(alone.batches(large(3)), 2), shared.run(shared.batches(noise()), 2)]
assert abs(losses[0] - losses[1]) < 1e-5, losses
assert np.abs(weights(alone.model) - weights(shared.model)).max() < 1e-5
latest = weights(shared.model)
with alone.averaged_weights(noise()), shared.averaged_weights(noise()):
    assert np.abs(weights(alone.model) - weights(shared.model)).max() < 1e-5
    assert np.abs(weights(shared.model) - latest).max() > 1e-4
assert np.array_equal(weights(shared.model), latest)
"""

CLIPPED = """
import keras
import numpy as np
from helpers.runs import noise, tiny_trainer, weights

def moved(accumulate):
    trainer = tiny_trainer(keras.optimizers.SGD(1.0, global_clipnorm=0.05), accumulate, dropout=0.0)
    before = weights(trainer.model)
    trainer.run(trainer.batches(noise()), 1)
    return weights(trainer.model) - before

alone = moved(ACCUMULATE)
with pair.scope():
    shared = moved(ACCUMULATE)
assert abs(np.linalg.norm(alone) - 0.05) < 1e-6, np.linalg.norm(alone)
assert np.abs(alone - shared).max() < 1e-6, np.linalg.norm(shared)
"""

WARPED = """
import numpy as np
from helpers.runs import cells, tiny, weights
from keras_unet import training
from keras_unet.training.data_split import split

def trained(place, accumulate, strategy=None):
    config = tiny(optimizer_name="sgd", model_dropout=0.0, training_accumulate=accumulate, training_augment_on=place)
    parts = split(cells(), config.data)
    trainer = training.training_run.build_trainer(config, parts.train, strategy)
    batches_from, _ = training.training_run.build_datasets(config, parts, trainer.model.geometry, strategy)
    trainer.run(trainer.batches(batches_from(0)), 3)
    return weights(trainer.model)

for accumulate in (1, 2):
    difference = np.abs(trained("cpu", accumulate) - trained("device", accumulate, pair)).max()
    assert difference < 1e-4, difference
"""


@pytest.mark.slow
def test_two_devices_train_and_clip_like_one() -> None:
    """With batch normalization too, whose statistics are of the whole batch, and weight decay, which spares biases."""
    run_on_two_devices(SAME_BATCH, SAME_STATISTICS, "ACCUMULATE = 1", CLIPPED)


def test_xla_with_batch_normalization_on_several_devices_is_refused() -> None:
    config = tiny(training_xla=True, model_normalization="batch")
    pair = SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(ConfigError, match="training.xla: Expected false .* Received true: switch it off"):
        build_trainer(config, cells(), pair)  # type: ignore[arg-type]


@pytest.mark.slow
def test_two_devices_accumulate_average_augment_and_warp_like_one() -> None:
    """With the larger batch of three, each augmenting its share of it; with clipped sums; with tiles warped on each."""
    run_on_two_devices(ACCUMULATED, "ACCUMULATE = 2", CLIPPED, WARPED)


def test_a_batch_that_devices_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of 4, .* Received 6. Nearest: 4 or 8"):
        check_batch_size(6, SimpleNamespace(num_replicas_in_sync=4))  # type: ignore[arg-type]
