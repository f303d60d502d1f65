"""The graph of an exported model: raw images of any size in, probabilities or class ids out.

Shapes are checked in the graph, since a server feeds it whatever a client sends. The input is declared without a rank:
with a rank of 4 and open axes TensorFlow folds the checks away, and a request of another rank aborts the process.
"""

from typing import Any

import tensorflow as tf

from keras_unet import tiling
from keras_unet.tiling import Forward, Tiler
from keras_unet.unet import UNet

INPUT_DTYPES = ("float32", "uint8", "uint16", "int16")
MAX_CLASSES = 255


def module_with_signatures(model: UNet, tiler: Tiler, input_dtype: str) -> tuple[tf.Module, dict[str, Any]]:
    """What `tf.saved_model.save` takes: a module that owns the weights, and its traced signatures.

    Args:
        model: The net. Only what inference needs is kept: no optimizer, no metrics, no random state.
        tiler: How images are cut.
        input_dtype: One of `INPUT_DTYPES`; pixels become float32 tile by tile.

    Returns:
        The module, and `serving_default` (`images` to `probabilities`, `(batch, height, width, num_classes)` float32)
        and `classes` (`images` to `classes`, `(batch, height, width)` uint8).
    """
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    segment = {
        "serving_default": _signature("probabilities", *tiling.probabilities(model), model, tiler, input_dtype),
        "classes": _signature("classes", *tiling.classes(model), model, tiler, input_dtype),
    }
    return module, {name: function.get_concrete_function() for name, function in segment.items()}


def checked_images(images: tf.Tensor, channels: int) -> tf.Tensor:
    """`images` as `(batch, height, width, channels)`; graph operations that answer INVALID_ARGUMENT if they are not.

    Args:
        images: A tensor of unknown rank.
        channels: Channels of the net.
    """
    shape = tf.shape(images)
    first_four = tf.concat([shape, [0] * 4], axis=0)[:4]  # padded, so that it exists at every rank
    legal = (tf.size(shape) == 4) & (first_four[3] == channels) & tf.reduce_all(first_four[1:3] > 0)
    received = tf.strings.reduce_join(tf.strings.as_string(shape), separator=", ")
    expected = f"Expected images of shape (batch, height, width, {channels}) with at least one pixel. Received shape ("
    check = tf.debugging.Assert(legal, [tf.strings.join([expected, received, ")."])])
    with tf.control_dependencies([check]):
        return tf.ensure_shape(tf.identity(images), (None, None, None, channels))


def _signature(
    name: str, forward: Forward, pixel: tf.TensorSpec, model: UNet, tiler: Tiler, input_dtype: str
) -> tf.types.experimental.PolymorphicFunction:
    def segment(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: tiler(checked_images(images, model.channels), forward, pixel)}

    images = tf.TensorSpec(None, input_dtype, name="images")
    return tf.function(segment, input_signature=[images], autograph=False)
