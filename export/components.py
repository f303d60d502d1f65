"""Objects told apart in the graph: components and growth as in `keras_unet.instances`."""

import tensorflow as tf

from keras_unet.instances import steps_by_distance


def instances(foreground: tf.Tensor) -> tf.Tensor:
    """As `keras_unet.instances.instances(probability, threshold, grow=1)`.

    Args:
        foreground: `(height, width)`, true where the probability is greater than the threshold.

    Returns:
        `(height, width)` int32 ids from 1 without gaps, in reading order; 0 for background.
    """
    return _grown(connected_components(foreground))


def connected_components(mask: tf.Tensor) -> tf.Tensor:
    """Number the 4-connected components of `(height, width)` in reading order, from 1; int32, 0 for background.

    Every pixel points to an earlier pixel of its component, in the end to the first: roots of neighbouring trees are
    hooked to each other and paths are halved until no neighbours differ, which takes a few rounds whatever the shapes.
    """
    shape, count = tf.shape(mask), tf.size(mask)
    outside = count  # where background points to, larger than any pixel; it stands behind the pixels and for itself
    flat = tf.concat([tf.reshape(mask, [-1]), [False]], axis=0)
    own = tf.where(flat, tf.range(count + 1), outside)

    def hook(parent: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        lowest = tf.reshape(_lowest_neighbour(tf.reshape(parent[:-1], shape), outside), [-1])
        lowest = tf.where(flat[:-1], lowest, outside)
        differs = tf.reduce_any(lowest != parent[:-1])
        with tf.control_dependencies([differs]):  # then nobody needs `parent`, and it is hooked in place
            hooked = tf.tensor_scatter_nd_min(parent, tf.reshape(parent[:-1], [-1, 1]), lowest)
        return tf.gather(hooked, tf.gather(hooked, hooked)), differs

    parent, _ = tf.while_loop(lambda _, differs: differs, hook, (own, tf.constant(True)), parallel_iterations=1)
    first = parent[:-1] == tf.range(count)
    numbers = tf.concat([tf.cumsum(tf.cast(first, tf.int32)), [0]], axis=0)
    return tf.reshape(tf.gather(numbers, parent[:-1]), shape)


def _lowest_neighbour(values: tf.Tensor, outside: tf.Tensor) -> tf.Tensor:
    """The least of each of `(height, width)` values and those above, below, to the left and to the right."""
    padded, lowest = tf.pad(values, [[1, 1], [1, 1]], constant_values=outside), values
    height, width = tf.unstack(tf.shape(values))
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        lowest = tf.minimum(lowest, _shifted(padded, down, right, height, width, after=lowest))
    return lowest


def _grown(ids: tf.Tensor) -> tf.Tensor:
    """Background pixels take the id of the nearest object among their eight neighbours."""
    height, width = tf.unstack(tf.shape(ids))
    padded = tf.pad(ids, [[1, 1], [1, 1]])
    for down, right in steps_by_distance(1):
        ids = tf.where(ids == 0, _shifted(padded, 1 + down, 1 + right, height, width, after=ids), ids)
    return ids


def _shifted(
    padded: tf.Tensor, down: int, right: int, height: tf.Tensor, width: tf.Tensor, after: tf.Tensor
) -> tf.Tensor:
    """Part of `padded`; taken only `after` another tensor is there, so that memory holds one such part at a time."""
    with tf.control_dependencies([after]):
        return padded[down : down + height, right : right + width]
