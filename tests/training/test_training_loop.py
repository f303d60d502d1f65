"""The loop: the steps of `fit`, in float16 and under XLA too, a loss that is not finite, what validation leaves out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.runs import cells, noise, tiny, tiny_trainer, weights

import keras_unet as ku
from keras_unet import training
from keras_unet.training.data_split import split
from keras_unet.training.optimizers import build_optimizer
from keras_unet.training.trainer import DivergedError, Trainer


def test_fit_and_the_loop_give_the_same_weights() -> None:
    """From our pipeline with augmentation, several steps a call, dropout active."""
    config = tiny(model_pixel_normalization="data")
    parts = split(cells(), config.data)
    loop = training.training_run.build_trainer(config, parts.train)
    batches_from, _ = training.training_run.build_datasets(config, parts, loop.model.geometry)
    initial = loop.model.get_weights()
    batches = loop.batches(batches_from(0))
    loop.run(batches, 2)
    loop.run(batches, 3)

    keras.utils.set_random_seed(config.training.seed)
    model = ku.UNet.from_config(loop.model.get_config())
    model.set_weights(initial)
    model.compile(build_optimizer(config.optimizer, config.training.steps), loss=ku.WeightedCrossentropy())
    model.fit(batches_from(0), steps_per_epoch=5, verbose=0)
    assert np.abs(weights(model) - weights(loop.model)).max() <= 1e-6


def test_a_loss_that_is_not_finite_stops_with_a_sentence() -> None:
    trainer = tiny_trainer(keras.optimizers.SGD(1e20))
    with pytest.raises(DivergedError, match="Expected a finite loss. Received (nan|inf) at learning rate 1e.20"):
        trainer.run(trainer.batches(noise()), 5)


@pytest.mark.slow
def test_float16_scales_its_loss_and_trains() -> None:
    optimizer = build_optimizer(tiny().optimizer, 10, "mixed_float16")
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    trainer = tiny_trainer(optimizer, dtype="mixed_float16")
    before = weights(trainer.model)
    trainer.run(trainer.batches(noise()), 2)
    assert np.isfinite(weights(trainer.model)).all()
    assert not np.array_equal(before, weights(trainer.model))
    assert trainer.learning_rate == pytest.approx(0.01 * 0.5 * (1 + np.cos(np.pi * 0.1)))


def test_xla_gives_the_same_step() -> None:
    """Without dropout, whose random numbers differ under XLA."""
    plain, compiled = tiny_trainer(dropout=0.0), tiny_trainer(dropout=0.0)
    compiled = Trainer(compiled.model, keras.optimizers.Adam(0.01), compiled.loss, xla=True)
    for trainer in (plain, compiled):
        trainer.run(trainer.batches(noise()), 2)
    assert np.abs(weights(plain.model) - weights(compiled.model)).max() < 1e-5


def test_validation_leaves_out_pixels_of_weight_0_and_dropout() -> None:
    trainer = tiny_trainer()
    image = np.full((1, 16, 16, 1), 100.0, np.float32)
    predicted = trainer.classes(image)
    wrong = predicted.copy()
    wrong[:, :4] = 1 - wrong[:, :4]
    weight = np.ones((1, 16, 16), np.float32)
    whole = trainer.validate(tf.data.Dataset.from_tensors((image, wrong.astype(np.int32), weight)))
    weight[:, :4] = 0
    part = trainer.validate(tf.data.Dataset.from_tensors((image, wrong.astype(np.int32), weight)))
    assert whole["pixel_accuracy"] == pytest.approx(0.75)
    assert part["pixel_accuracy"] == 1.0
