"""Where in its image a training tile lies. Stateless: a function of image and seed."""

from typing import Literal

import tensorflow as tf

Sampling = Literal["uniform", "annotated", "foreground"]
SAMPLINGS: tuple[Sampling, ...] = ("uniform", "annotated", "foreground")


def window_corner(
    label: tf.Tensor, weight: tf.Tensor, size: int, seed: tf.Tensor, sampling: Sampling = "uniform"
) -> tf.Tensor:
    """First row and column of a tile's output window.

    Args:
        label: `(height, width)` whole numbers, 0 for background.
        weight: `(height, width)`, 0 where a pixel does not count.
        size: Height and width of the window in pixels.
        seed: `(2,)`.
        sampling: `"uniform"`: anywhere in the image. `"annotated"`: a pixel that counts is drawn first, all alike, and
            then its place in the window; `"foreground"`: the same with pixels of a class above 0. An image without
            such a pixel is cut anywhere. Where a label covers little of an image, most windows would hold none of it.

    Returns:
        `(2,)` float32, within the image. An image smaller than the window lies in its middle.
    """
    free = tf.cast(tf.shape(label) - size, tf.float32)
    anywhere = tf.where(free > 0, tf.floor(tf.random.stateless_uniform([2], seed) * (free + 1.0)), free // 2.0)
    if sampling == "uniform":
        return anywhere
    wanted = weight > 0 if sampling == "annotated" else (weight > 0) & (label > 0)
    of_pixel, of_place = tf.unstack(tf.random.split(seed, 2))
    pixel, found = _random_pixel(wanted, of_pixel)
    around = pixel - tf.floor(tf.random.stateless_uniform([2], of_place) * size)
    inside = tf.where(free > 0, tf.clip_by_value(around, 0.0, tf.maximum(free, 0.0)), free // 2.0)
    return tf.where(found, inside, anywhere)


def _random_pixel(wanted: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`(2,)` float32 row and column of one of the pixels that hold, each as likely; and whether there is one."""
    in_row = tf.math.count_nonzero(wanted, axis=1)
    ends = tf.cumsum(in_row)
    number = tf.random.stateless_uniform([], seed, 0, tf.maximum(ends[-1], 1), tf.int64) + 1
    row = tf.minimum(tf.searchsorted(ends, [number])[0], tf.shape(wanted)[0] - 1)
    in_columns = tf.cumsum(tf.cast(wanted[row], tf.int64))
    column = tf.minimum(tf.searchsorted(in_columns, [number - ends[row] + in_row[row]])[0], tf.shape(wanted)[1] - 1)
    return tf.cast(tf.stack([row, column]), tf.float32), ends[-1] > 0
