"""Weights from which each feature map starts with mean 0 and variance 1, measured on images.

"Ideally the initial weights should be adapted such that each feature map in the network has approximately unit
variance" (Ronneberger et al. 2015, section 3). Weights drawn from N(0, sqrt(2/N)) achieve that for inputs of mean 0.
Behind a ReLU all inputs are positive: in the deep levels some filters are then negative on every pixel from the start.
They are dead: no gradient reaches them.
"""

from collections import Counter
from typing import Any

import keras
import tensorflow as tf

from keras_unet.preprocessing.pixel_normalization import pixels_are_normalized

_SMALLEST = 1e-6  # standard deviation of a filter that sees nothing


def unit_variance(model: keras.Model, images: Any) -> None:
    """Scale and shift each filter so that its feature map has mean 0 and variance 1 on some images, layer by layer.

    Up-convolutions, which no ReLU follows, are scaled and not shifted. The layer of the logits stays as it is.

    Args:
        model: A `UNet`; its weights are changed.
        images: `(batch, height, width, channels)` of a legal size, normalised if the model normalises images.

    Reference:
        Mishkin and Matas, All you need is a good init, ICLR 2016; for the shift Salimans and Kingma, Weight
        normalization, NeurIPS 2016, section 3.
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    uses = Counter(id(tensor) for layer in layers for tensor in keras.tree.flatten(layer.input))
    values = {id(model.inputs[0]): tf.cast(images, tf.float32)}

    def take(tensor: keras.KerasTensor) -> tf.Tensor:
        """The value of a tensor of the graph, which is forgotten after its last use."""
        uses[id(tensor)] -= 1
        return values[id(tensor)] if uses[id(tensor)] else values.pop(id(tensor))

    with pixels_are_normalized():
        for layer in layers:
            output = layer(keras.tree.map_structure(take, layer.input))
            if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose) and layer.name != "logits":
                output = _standardized(layer, output)
            values[id(layer.output)] = output


def _standardized(layer: Any, output: tf.Tensor) -> tf.Tensor:
    """The layer's output `(batch, height, width, filters)` after its weights are changed."""
    is_up = isinstance(layer, keras.layers.Conv2DTranspose)
    mean, variance = tf.nn.moments(tf.cast(output, tf.float32), [0, 1, 2])
    scale = 1.0 / tf.maximum(tf.sqrt(variance), _SMALLEST)
    shift = tf.zeros_like(mean) if is_up or layer.bias is None else mean
    # The kernel of an up-convolution ends in (filters, inputs), that of a convolution in (inputs, filters).
    layer.kernel.assign(layer.kernel * (scale[:, None] if is_up else scale))
    if layer.bias is not None:
        layer.bias.assign((layer.bias - shift) * scale)
    return tf.cast((tf.cast(output, tf.float32) - shift) * scale, output.dtype)
