"""Objects told apart in the graph: threshold, components and growth as in `keras_unet.instances`."""

from functools import reduce

import tensorflow as tf

from keras_unet.instances import steps_by_distance


def instances(probability: tf.Tensor, threshold: float) -> tf.Tensor:
    """As `keras_unet.instances.instances(probability, threshold, grow=1)`.

    Args:
        probability: `(height, width)` probability of foreground.
        threshold: A pixel is foreground where its probability is greater.

    Returns:
        `(height, width)` int32 ids from 1 without gaps, in reading order; 0 for background.
    """
    return _grown(connected_components(probability > threshold))


def connected_components(mask: tf.Tensor) -> tf.Tensor:
    """Number the 4-connected components of `(height, width)` in reading order, from 1; int32, 0 for background.

    Every pixel points to an earlier pixel of its component, in the end to the first: roots of neighbouring trees are
    hooked to each other and paths are halved until nothing changes, which takes a few rounds whatever the shapes.
    """
    shape = tf.shape(mask)
    count = tf.size(mask)
    outside = count  # where background points to, larger than any pixel
    own = tf.where(mask, tf.reshape(tf.range(count), shape), outside)

    def hook(parent: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        padded = tf.pad(parent, [[1, 1], [1, 1]], constant_values=outside)
        neighbours = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
        lowest = reduce(tf.minimum, neighbours, parent)
        lowest = tf.where(mask, lowest, outside)
        flat = tf.concat([tf.reshape(parent, [-1]), [outside]], axis=0)
        hooked = tf.tensor_scatter_nd_min(flat, tf.reshape(parent, [-1, 1]), tf.reshape(lowest, [-1]))
        jumped = tf.gather(hooked, tf.gather(hooked, hooked))
        following = tf.reshape(jumped[:-1], shape)
        return following, tf.reduce_any(following != parent)

    parent, _ = tf.while_loop(lambda _, changed: changed, hook, (own, tf.constant(True)), parallel_iterations=1)
    first = mask & (parent == own)
    numbers = tf.cumsum(tf.cast(tf.reshape(first, [-1]), tf.int32))
    return tf.where(mask, tf.gather(numbers, tf.minimum(parent, count - 1)), 0)


def _grown(ids: tf.Tensor) -> tf.Tensor:
    """Background pixels take the id of the nearest object among their eight neighbours."""
    height, width = tf.unstack(tf.shape(ids))
    padded = tf.pad(ids, [[1, 1], [1, 1]])
    for down, right in steps_by_distance(1):
        neighbours = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        ids = tf.where(ids == 0, neighbours, ids)
    return ids
