"""How raw pixels become the input of a net: zero mean and unit variance, by the image or by constants of a data set."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_unet.preprocessing.image_statistics import CLIPPED, LIMIT, SIDE

PixelNormalization = Literal["range", "image"] | tuple[Sequence[float], Sequence[float]]

_NORMALIZED: ContextVar[bool] = ContextVar("normalized", default=False)


def statistics_of(images: tf.Tensor) -> tf.Tensor:
    """As `keras_unet.pixel_statistics` of each image, in operations of any graph.

    Args:
        images: `(batch, height, width, channels)`, any real dtype, the number of channels known.

    Returns:
        `(batch, 2, channels)` float32: means, then standard deviations.
    """
    shape = tf.shape(images)
    rows, columns = (-(-shape[axis] // SIDE) for axis in (1, 2))
    sample = tf.cast(images[:, ::rows, ::columns], tf.float32)
    count = tf.shape(sample)[1] * tf.shape(sample)[2]
    values = tf.transpose(tf.reshape(sample, [shape[0], count, images.shape[-1]]), [0, 2, 1])
    # A constant of float64 keeps the product that Python's has.
    cut = tf.cast(tf.cast(count, tf.float64) * CLIPPED, tf.int32)
    highest, lowest = tf.math.top_k(values, cut + 1)[0], -tf.math.top_k(-values, cut + 1)[0]
    differ = highest[..., -1:] > lowest[..., -1:]
    low = tf.where(differ, lowest[..., -1:], lowest[..., :1])
    high = tf.where(differ, highest[..., -1:], highest[..., :1])
    clipped = tf.cast(tf.clip_by_value(values, low, high), tf.float64)
    means = tf.reduce_mean(clipped, -1, keepdims=True)
    deviations = tf.sqrt(tf.reduce_mean(tf.square(clipped - means), -1))
    varies = (high > low)[..., 0]
    means = tf.where(varies, tf.cast(means[..., 0], tf.float32), low[..., 0])
    return tf.stack([means, tf.where(varies, tf.cast(deviations, tf.float32), 1.0)], axis=1)


def normalized(pixels: tf.Tensor, statistics: tf.Tensor) -> tf.Tensor:
    """Pixels minus their mean, divided by their standard deviation, clipped to `LIMIT` deviations.

    Args:
        pixels: `(batch, height, width, channels)`, or without the batch.
        statistics: `(batch, 2, channels)`, or `(2, channels)` for all.

    Returns:
        float32 of the same shape.
    """
    means, deviations = means_and_deviations(statistics)
    return limited((tf.cast(pixels, tf.float32) - means) / deviations)


def limited(pixels: tf.Tensor) -> tf.Tensor:
    """Normalised pixels clipped to `LIMIT` standard deviations, so that hot ones count like other bright ones."""
    return tf.clip_by_value(pixels, -LIMIT, LIMIT)


def means_and_deviations(statistics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Both halves of `(batch, 2, channels)` or `(2, channels)`, to be combined with the pixels of images."""
    return statistics[..., 0, :][..., None, None, :], statistics[..., 1, :][..., None, None, :]


@contextmanager
def pixels_are_normalized(are: bool = True) -> Iterator[None]:
    """Inside, `NormalizePixels` of each image's own statistics passes pixels on: who calls the net has normalised them.

    A tile does not know the statistics of the image that it is part of.
    """
    token = _NORMALIZED.set(are)
    try:
        yield
    finally:
        _NORMALIZED.reset(token)


@keras.saving.register_keras_serializable(package="keras_unet")
class NormalizePixels(keras.layers.Layer):
    """Takes the mean out of raw pixels and divides them by their standard deviation, in float32 under every policy.

    In half precision 16-bit pixel values would lose their last digits before they reach the net.

    Args:
        statistics: Means and standard deviations, one per channel each; None for those of each image.
    """

    def __init__(self, statistics: Sequence[Sequence[float]] | None = None, **arguments: Any) -> None:
        super().__init__(**{**arguments, "dtype": "float32"})
        self.statistics = statistics

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalise `(batch, height, width, channels)`."""
        if self.statistics is not None:
            return normalized(inputs, tf.constant(np.asarray(self.statistics, np.float32)))
        return inputs if _NORMALIZED.get() else normalized(inputs, statistics_of(inputs))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "statistics": self.statistics}


def checked(normalization: Any, channels: int) -> PixelNormalization:
    """`"range"`, `"image"`, or constants as a pair of tuples of floats.

    Raises:
        ValueError: If it is something else, or the constants do not fit the channels.
    """
    if isinstance(normalization, str) and normalization in ("range", "image"):
        return "range" if normalization == "range" else "image"
    expected = (
        f'Expected pixel_normalization "range", "image", or means and positive standard deviations of {channels} '
        f"channels. Received {normalization!r}."
    )
    if isinstance(normalization, str):
        raise ValueError(expected)
    try:
        constants = np.asarray(normalization, np.float64)
    except (TypeError, ValueError):
        raise ValueError(expected) from None
    if constants.shape != (2, channels) or not np.isfinite(constants).all() or not (constants[1] > 0).all():
        raise ValueError(expected)
    means, deviations = constants.tolist()
    return tuple(means), tuple(deviations)
