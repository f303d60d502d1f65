"""Tiles of validation that pass the image's end: neither the loss nor the metrics of `fit` see what lies beyond."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_unet as ku
from keras_unet.pipeline.examples import Example
from keras_unet.pipeline.tile_datasets import validation_dataset

TILE = 28  # of the net below: 12 output pixels


def example(height: int, width: int) -> Example:
    random = np.random.default_rng(height)
    image = random.integers(0, 256, (height, width, 1)).astype(np.uint8)
    label = (image[..., 0] > 128).astype(np.int32)
    weight = random.uniform(0.5, 11, label.shape).astype(np.float32)
    return Example("noise", image, label, weight, label)


@pytest.fixture(scope="module")
def net() -> ku.UNet:
    keras.utils.set_random_seed(1)
    return ku.UNet((None, None, 1), filters=2, depth=1, dropout=0.0, padding="valid")


EXAMPLES = (example(21, 37), example(5, 7))  # of 2 x 4 tiles and of one


def by_hand(net: ku.UNet) -> tuple[float, float]:
    """Mean of weight times cross entropy over the images' pixels, and the share of pixels that are right."""
    losses, right = [], []
    for one in EXAMPLES:
        probability = ku.predict(net, one.image, tile=TILE).astype(np.float64)
        of_truth = np.take_along_axis(probability, one.label[..., None], axis=-1)[..., 0]
        losses += (-np.log(of_truth) * one.weight).ravel().tolist()
        right += (probability.argmax(axis=-1) == one.label).ravel().tolist()
    return float(np.mean(losses)), float(np.mean(right))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_evaluation_by_keras_is_that_of_the_images_pixels(net: ku.UNet, batch_size: int) -> None:
    net.compile(loss=ku.WeightedCrossentropy(), weighted_metrics=[ku.metrics.PixelAccuracy(2, name="right")])
    dataset = validation_dataset(EXAMPLES, net.geometry, TILE, batch_size)
    scores = net.evaluate(dataset, verbose=0, return_dict=True)
    assert (scores["loss"], scores["right"]) == pytest.approx(by_hand(net), rel=1e-5)


def test_validation_in_training_is_that_of_the_images_pixels(net: ku.UNet) -> None:
    trainer = ku.training.Trainer(net, keras.optimizers.SGD(), ku.WeightedCrossentropy())
    scores = trainer.validate(validation_dataset(EXAMPLES, net.geometry, TILE, 2))
    assert (scores["loss"], scores["pixel_accuracy"]) == pytest.approx(by_hand(net), rel=1e-5)


def test_tiles_that_fit_the_images_keep_their_weights(net: ku.UNet) -> None:
    one = example(12, 24)
    tiles = list(validation_dataset([one], net.geometry, TILE).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([weight[0] for _, _, weight in tiles], axis=1), one.weight)


def test_metrics_leave_out_pixels_and_images_of_weight_0() -> None:
    label = np.array([[[0, 1, 1, 1]], [[1, 1, 1, 1]]])
    logits = np.stack([np.zeros((2, 1, 4)), np.array([[[-1.0, 1, 1, -1]], [[-1.0] * 4]])], axis=-1).astype(np.float32)
    for weight, share in (
        (None, 3 / 8),
        ([[[1, 1, 1, 1]], [[0, 0, 0, 0]]], 3 / 4),
        ([[[0, 9, 0, 0.1]], [[0, 0, 0, 5]]], 1 / 3),
        ([1.0, 0.0], 3 / 4),
    ):
        metric = ku.metrics.PixelAccuracy(2)
        metric.update_state(label, logits, None if weight is None else tf.constant(weight, tf.float32))
        assert float(metric.result()) == pytest.approx(share), weight
