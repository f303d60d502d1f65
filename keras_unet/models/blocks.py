"""The parts of a U-Net: two-convolution blocks, skip connections, up-sampling, the rescaling of raw pixels."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_unet.models.geometry import Padding, Upsampling

Normalization = Literal["batch", "group"]

NORMALIZATIONS: tuple[Normalization, ...] = ("batch", "group")

_GROUPS = 32  # Wu and He 2018, Group Normalization: their default


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers built inside take this dtype policy; Keras' global policy is restored afterwards.

    Raises:
        ValueError: If Keras knows no policy of that name.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def he_normal() -> keras.initializers.Initializer:
    """N(0, sqrt(2/N)) with N the incoming nodes of a neuron (section 3), not truncated.

    A new initializer per layer: Keras draws the same numbers each time one instance is called.
    """
    return keras.initializers.VarianceScaling(scale=2.0, mode="fan_in", distribution="untruncated_normal")


def rescale(value_range: tuple[float, float]) -> keras.layers.Layer:
    """A layer that maps raw pixels of `value_range` (low, high) to -1 … 1, in float32 under every dtype policy.

    In half precision 16-bit pixel values would lose their last digits before they reach the net.
    """
    low, high = value_range
    scale = 2.0 / (high - low)
    return keras.layers.Rescaling(scale, -1.0 - low * scale, dtype="float32", name="rescale")


def normalize(
    x: keras.KerasTensor, normalization: Normalization | None, batch_momentum: float, name: str
) -> keras.KerasTensor:
    """Batch or group normalization of the channels of `x`, or `x` itself.

    A net made in the scope of a strategy takes the statistics of a batch over all replicas.
    """
    if normalization == "batch":
        several = tf.distribute.get_strategy().num_replicas_in_sync > 1
        return keras.layers.BatchNormalization(momentum=batch_momentum, synchronized=several, name=f"{name}_norm")(x)
    if normalization == "group":
        groups = math.gcd(_GROUPS, x.shape[-1])
        return keras.layers.GroupNormalization(groups, name=f"{name}_norm")(x)
    return x


def add_bias(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """`x + bias` of `(batch, height, width, filters)` and `(filters,)`; the gradient of the bias is summed in float32.

    TensorFlow's own `BiasAddGrad` sums in bfloat16 on CPUs, where 256 + 1 is 256.
    """

    @tf.custom_gradient
    def added(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        return tf.nn.bias_add(x, bias), lambda upstream: (upstream, tf.cast(_sum_of_pixels(upstream), bias.dtype))

    return added(x, tf.convert_to_tensor(bias))


def _sum_of_pixels(x: tf.Tensor) -> tf.Tensor:
    """Float32 `(filters,)`. CPUs sum rows first, which they do right: a float32 copy takes ten times as long."""
    if tf.config.list_logical_devices("GPU"):
        return tf.reduce_sum(tf.cast(x, tf.float32), axis=(0, 1, 2))
    return tf.reduce_sum(tf.cast(tf.reduce_sum(x, axis=2), tf.float32), axis=(0, 1))


# Both are named as in Keras, which calls a layer's weights by its class in a file.


@keras.saving.register_keras_serializable(package="keras_unet")
class Conv2D(keras.layers.Conv2D):
    """Keras' layer, in bfloat16 with the right gradient of its bias."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve `(batch, height, width, channels)`."""
        if not self.use_bias or self.compute_dtype != "bfloat16":
            return super().call(inputs)
        return add_bias(self.convolution_op(inputs, self.kernel), self.bias)


@keras.saving.register_keras_serializable(package="keras_unet")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Keras' layer, in bfloat16 with the right gradient of its bias."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Up-convolve `(batch, height, width, channels)`."""
        if not self.use_bias or self.compute_dtype != "bfloat16":
            return super().call(inputs)
        linear = keras.ops.conv_transpose(inputs, self.kernel, self.strides, self.padding)
        return add_bias(linear, self.bias)


def convolution(
    x: keras.KerasTensor,
    filters: int,
    *,
    kernel_size: int,
    padding: Padding,
    normalization: Normalization | None,
    batch_momentum: float,
    name: str,
) -> keras.KerasTensor:
    """A convolution and its normalization; batch normalization brings the bias itself."""
    layer = Conv2D(
        filters,
        kernel_size,
        padding=padding,
        use_bias=normalization != "batch",
        kernel_initializer=he_normal(),
        name=name,
    )
    return normalize(layer(x), normalization, batch_momentum, name)


def double_convolution(
    x: keras.KerasTensor,
    filters: int,
    *,
    padding: Padding,
    normalization: Normalization | None,
    batch_momentum: float,
    residual: bool,
    name: str,
) -> keras.KerasTensor:
    """Two 3x3 convolutions, each followed by a ReLU (figure 1).

    With `residual` the input, brought to size by a 1x1 convolution and a centre crop, is added before the last ReLU
    (He et al. 2016).
    """
    style: dict[str, Any] = {"padding": padding, "normalization": normalization, "batch_momentum": batch_momentum}
    shortcut = x
    for number in (1, 2):
        x = convolution(x, filters, kernel_size=3, **style, name=f"{name}_conv{number}")
        if number == 2 and residual:
            shortcut = convolution(shortcut, filters, kernel_size=1, **style, name=f"{name}_shortcut")
            x = keras.layers.Add(name=f"{name}_add")([x, crop(shortcut, 2 if padding == "valid" else 0, name)])
        x = keras.layers.ReLU(name=f"{name}_relu{number}")(x)
    return x


def crop(x: keras.KerasTensor, pixels: int, name: str) -> keras.KerasTensor:
    """`x` without `pixels` rows and columns on each side."""
    return keras.layers.Cropping2D(pixels, name=f"{name}_crop")(x) if pixels else x


@keras.saving.register_keras_serializable(package="keras_unet")
class BilinearUpsampling(keras.layers.Layer):
    """Twice the rows and columns by bilinear interpolation with half-pixel centres.

    Keras' `UpSampling2D(interpolation="bilinear")` cannot be traced with open height and width (Keras 3.15).
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Upsample `(batch, height, width, channels)` in the dtype of `inputs`."""
        size = 2 * tf.shape(inputs)[1:3]
        return tf.cast(tf.image.resize(inputs, size), inputs.dtype)  # (batch, 2 * height, 2 * width, channels)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """`(batch, 2 * height, 2 * width, channels)`."""
        batch, height, width, channels = input_shape
        return batch, height and 2 * height, width and 2 * width, channels


def upsample(
    x: keras.KerasTensor, filters: int, *, upsampling: Upsampling, padding: Padding, name: str
) -> keras.KerasTensor:
    """Twice the rows and columns, `filters` channels: the 2x2 up-convolution, or bilinear and a 1x1 convolution."""
    if upsampling == "transposed":
        # Each output pixel sees one input pixel, so N is the number of input channels; Keras would count four times.
        initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / x.shape[-1]))
        return Conv2DTranspose(filters, 2, strides=2, kernel_initializer=initializer, name=name)(x)
    x = BilinearUpsampling(name=f"{name}_bilinear")(x)
    x = crop(x, 1 if padding == "valid" else 0, f"{name}_edge")
    return Conv2D(filters, 1, kernel_initializer=he_normal(), name=name)(x)
