"""Where in its image a training tile lies. Stateless: a function of image and seed."""

from typing import Literal

import tensorflow as tf

Sampling = Literal["uniform", "annotated", "foreground"]
SAMPLINGS: tuple[Sampling, ...] = ("uniform", "annotated", "foreground")


def window_corner(
    label: tf.Tensor, weight: tf.Tensor, size: int, seed: tf.Tensor, sampling: Sampling = "uniform"
) -> tf.Tensor:
    """First row and column of a tile's output window, which may begin and end outside of its image.

    The warp mirrors what lies beyond the image: pixels, labels and weights. A window's centre lies anywhere in the
    image. So all pixels are seen equally often, their mirror images included; the outermost rows and columns, which a
    mirror does not repeat, half as often. Windows that lie inside the image would hardly see its rim.

    Args:
        label: `(height, width)` whole numbers, 0 for background.
        weight: `(height, width)`, 0 where a pixel does not count.
        size: Height and width of the window in pixels.
        seed: `(2,)`.
        sampling: `"uniform"`: the centre is anywhere in the image. `"annotated"`: a pixel that counts is drawn first,
            all alike, and then its place in the window; `"foreground"`: the same with pixels of a class above 0. An
            image without such a pixel is cut as by `"uniform"`. Where a label covers little of an image, most windows
            would hold none of it.

    Returns:
        `(2,)` float32 whole numbers.
    """
    # The centre of a window of an even size lies between two pixels: from half a pixel before the first one on.
    places = tf.cast(tf.shape(label) + 1 - size % 2, tf.float32)
    anywhere = tf.floor(tf.random.stateless_uniform([2], seed) * places) - size // 2
    if sampling == "uniform":
        return anywhere
    wanted = weight > 0 if sampling == "annotated" else (weight > 0) & (label > 0)
    of_pixel, of_place = tf.unstack(tf.random.split(seed, 2))
    pixel, found = _random_pixel(wanted, of_pixel)
    around = pixel - tf.floor(tf.random.stateless_uniform([2], of_place) * size)
    return tf.where(found, around, anywhere)


def _random_pixel(wanted: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`(2,)` float32 row and column of one of the pixels that hold, each as likely; and whether there is one."""
    in_row = tf.math.count_nonzero(wanted, axis=1)
    ends = tf.cumsum(in_row)
    number = tf.random.stateless_uniform([], seed, 0, tf.maximum(ends[-1], 1), tf.int64) + 1
    row = tf.minimum(tf.searchsorted(ends, [number])[0], tf.shape(wanted)[0] - 1)
    in_columns = tf.cumsum(tf.cast(wanted[row], tf.int64))
    column = tf.minimum(tf.searchsorted(in_columns, [number - ends[row] + in_row[row]])[0], tf.shape(wanted)[1] - 1)
    return tf.cast(tf.stack([row, column]), tf.float32), ends[-1] > 0
