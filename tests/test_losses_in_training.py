"""The losses in `fit`: they are what the model learns from, and are saved with it."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.loss_rules import random_batch

from keras_unet.losses.crossentropy_dice import CrossentropyDice
from keras_unet.losses.dice import Dice
from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy

LOG2 = math.log(2)


def tiny_model(num_classes):
    inputs = keras.Input((4, 4, 1))
    outputs = keras.layers.Conv2D(num_classes, 3, padding="same", kernel_initializer="zeros")(inputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    "loss",
    [
        WeightedCrossentropy(ignore_label=255, class_weights=(0.2, 1.0), name="w"),
        Dice(ignore_label=255, smooth=0.0, squared=True, reduction="sum"),
        CrossentropyDice(0.5, 3.0, ignore_label=255, class_weights=(0.2, 1.0), smooth=2.0, squared=True),
    ],
)
def test_losses_survive_saving(loss):
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    labels, logits, weights = random_batch(2)
    labels[0, 0] = 255
    assert float(copy(labels, logits, weights)) == float(loss(labels, logits, weights))


@pytest.mark.parametrize("num_classes", [1, 2])
def test_fit_follows_the_gradient_of_the_weighted_loss(num_classes):
    labels, _, weights = random_batch(num_classes, batch=2, height=4, width=4)
    images = np.random.default_rng(1).normal(size=(2, 4, 4, 1)).astype(np.float32)
    model = tiny_model(num_classes)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=WeightedCrossentropy())
    history = model.fit(images, labels, sample_weight=weights, batch_size=2, epochs=1, verbose=0)
    # All logits are 0, so all probabilities 1/2; the bias moves against the mean of w (p - y).
    assert history.history["loss"][0] == pytest.approx(LOG2 * weights.mean(), rel=1e-5)
    truth = labels[..., None] if num_classes == 1 else np.eye(2)[labels]
    expected = -0.1 * (weights[..., None] * (0.5 - truth)).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(model.layers[-1].bias, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "num_classes"),
    [
        (WeightedCrossentropy, 2),
        (Dice, 1),
        (CrossentropyDice, 2),
        pytest.param(WeightedCrossentropy, 1, marks=pytest.mark.slow),
        pytest.param(Dice, 2, marks=pytest.mark.slow),
        pytest.param(CrossentropyDice, 1, marks=pytest.mark.slow),
    ],
)
def test_fit_on_a_data_set_learns_and_the_saved_model_keeps_its_loss(loss, num_classes, tmp_path):
    images = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype(np.float32)
    labels = (images[..., 0] > 0).astype(np.int32)
    data = tf.data.Dataset.from_tensor_slices((images, labels, np.ones(labels.shape, np.float32))).batch(4).repeat()
    model = tiny_model(num_classes)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss())
    history = model.fit(data, steps_per_epoch=20, epochs=4, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.evaluate(data, steps=2, verbose=0) == pytest.approx(model.evaluate(data, steps=2, verbose=0))
