"""Biases get the right gradient in every precision, and nothing else of a layer changes."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import new_net

from keras_unet.models import blocks

TILE = 388
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def layers(policy: str) -> dict[str, keras.layers.Layer]:
    """Ours, of one filter, built for one channel."""
    made = {
        "convolution": blocks.Conv2D(1, 3, padding="same", dtype=policy),
        "up-convolution": blocks.Conv2DTranspose(1, 2, strides=2, dtype=policy),
    }
    for layer in made.values():
        layer.build((None, None, None, 1))
    return made


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["convolution", "up-convolution"])
def test_the_gradient_of_a_bias_is_the_number_of_pixels_times_that_of_one(name: str, policy: str) -> None:
    """0.25 at each of 388 x 388 pixels makes 37636, which TensorFlow's bfloat16 gives as 128."""
    layer = layers(policy)[name]
    tile = tf.zeros((1, TILE, TILE, 1) if name == "convolution" else (1, TILE // 2, TILE // 2, 1))
    with tf.GradientTape() as tape:
        outputs = layer(tile)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * 0.25)
    gradient = tape.gradient(loss, layer.bias.value)
    assert outputs.dtype == keras.DTypePolicy(policy).compute_dtype
    assert gradient.dtype == "float32"
    assert gradient.numpy() == pytest.approx([0.25 * TILE * TILE], rel=0.004)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("name", "theirs"), [("convolution", "Conv2D"), ("up-convolution", "Conv2DTranspose")])
def test_outputs_and_weights_are_those_of_keras_layer(name: str, theirs: str, policy: str) -> None:
    ours = layers(policy)[name]
    ours.bias.assign([0.3])
    config = ours.get_config()
    keras_layer = getattr(keras.layers, theirs).from_config(config)
    keras_layer.build((None, None, None, 1))
    keras_layer.set_weights(ours.get_weights())
    image = np.random.default_rng(0).normal(size=(2, 9, 8, 1)).astype("float32")
    np.testing.assert_array_equal(tf.cast(ours(image), "float32"), tf.cast(keras_layer(image), "float32"))
    assert [weight.name for weight in ours.weights] == ["kernel", "bias"]


def test_gradients_of_a_net_in_bfloat16_are_those_of_float32() -> None:
    """By TensorFlow's own sum those of the convolutions have cosines of 0.88 to 0.99 and 0.03 to 0.76 of the length."""
    image = np.random.default_rng(1).uniform(0, 255, (1, 188, 188, 1)).astype("float32")
    gradients = {}
    for policy in ("float32", "mixed_bfloat16"):
        net = new_net(seed=3, filters=4, depth=2, dropout=0.0, dtype=policy)
        biases = [weight for weight in net.trainable_variables if weight.name == "bias"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(net(image, training=True)[..., 0])
        gradients[policy] = [np.asarray(one, np.float64) for one in tape.gradient(loss, [b.value for b in biases])]
    for exact, half in zip(*gradients.values(), strict=True):
        cosine = exact @ half / np.linalg.norm(exact) / np.linalg.norm(half)
        assert cosine > 0.99
        assert np.linalg.norm(half) == pytest.approx(np.linalg.norm(exact), rel=0.05)


def test_files_hold_weights_under_keras_names(tmp_path: Path) -> None:
    """So that files written with Keras' own layers still load, and the other way round."""
    new_net(filters=1, depth=1).save_weights(tmp_path / "net.weights.h5")
    with h5py.File(tmp_path / "net.weights.h5") as file:
        assert {"conv2d", "conv2d_1", "conv2d_transpose"} <= set(file["layers"])
