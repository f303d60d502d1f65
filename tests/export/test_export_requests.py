"""Requests to an exported model: batches, wrong shapes and values, and how a refusal is told."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import exported, net, noise
from helpers.nets import loaded as load

from keras_unet import export
from keras_unet.inference.tiling import predict


@pytest.fixture(scope="module")
def loaded(folder):
    return load(folder)


@pytest.mark.parametrize(
    ("shape", "received"),
    [
        ((), ""),
        ((7,), "7"),
        ((5, 5), "5, 5"),
        ((5, 6, 3), "5, 6, 3"),
        ((1, 5, 6, 3, 2), "1, 5, 6, 3, 2"),
        ((1, 5, 6, 1), "1, 5, 6, 1"),
        ((2, 0, 6, 3), "2, 0, 6, 3"),
        ((2, 6, 0, 3), "2, 6, 0, 3"),
    ],
)
@pytest.mark.parametrize("signature", ["serving_default", "classes"])
def test_wrong_shapes_answer_invalid_argument_with_one_sentence(loaded, signature, shape, received):
    segment = loaded.signatures[signature]
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        segment(images=tf.zeros(shape, tf.uint8))
    assert export.sentence(refused.value.message) == (
        f"Expected images of shape (batch, height, width, 3) with at least one pixel. Received shape ({received})."
    )
    assert segment(images=tf.zeros((1, 5, 6, 3), tf.uint8))  # the next good request is answered


def test_an_empty_batch_gives_an_empty_answer(loaded):
    images = tf.zeros((0, 5, 6, 3), tf.uint8)
    assert loaded.signatures["serving_default"](images=images)["probabilities"].shape == (0, 5, 6, 3)
    assert loaded.signatures["classes"](images=images)["classes"].shape == (0, 5, 6)


def test_an_image_has_the_same_bits_alone_and_in_a_batch(loaded):
    segment = loaded.signatures["serving_default"]
    images = tf.constant(np.random.default_rng(1).integers(0, 256, (2, 50, 41, 3), np.uint8))
    together = segment(images=images)["probabilities"]
    for index in (0, 1):
        alone = segment(images=images[index : index + 1])["probabilities"]
        np.testing.assert_array_equal(together[index], alone[0])


def test_one_logit_is_class_1_above_one_half_and_float_images_must_be_finite():
    model = net(seed=4, channels=2, num_classes=1, depth=1)  # two channels: no signature of files to trace
    signatures = load(exported(model, tile=36)).signatures
    image = noise(20, 33, 2, dtype=np.float32)
    expected = predict(model, image, tile=36)
    assert 0.1 < (expected > 0.5).mean() < 0.9
    result = signatures["classes"](images=tf.constant(image[None]))["classes"]
    np.testing.assert_array_equal(result[0], expected[..., 0] > 0.5)
    for value in (np.nan, np.inf):
        image[3, 4, 0] = value
        with pytest.raises(tf.errors.InvalidArgumentError) as refused:
            signatures["serving_default"](images=tf.constant(image[None]))
        assert export.sentence(refused.value.message) == "Expected finite pixel values. Received NaN or infinity."


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "Graph execution error:\n\nInvalid PNG data, size 83\n\t [[{{node map/DecodePng}}]]",
            "Invalid PNG data, size 83",
        ),
        ("Expected x. Received y.\n\t [[{{node Assert}}]]", "Expected x. Received y."),
        ("\t [[{{node Assert}}]]", "The request was refused."),
        ("", "The request was refused."),
    ],
)
def test_a_refusal_is_told_without_nodes_of_the_graph(message, told):
    assert export.sentence(message) == told
