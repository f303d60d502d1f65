"""Instance segmentation in the graph, pixel for pixel as `keras_unet.instances.InstanceSettings.find`."""

import tensorflow as tf

from keras_unet.instances.components import FLOOD_LEVELS, check_depth
from keras_unet.instances.expansion import lines
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.instances.marker_watershed import FARTHEST

_FAR = 2**31 - 1
_LOWEST = -1e9  # below all heights


def instances(probability: tf.Tensor, settings: InstanceSettings) -> tf.Tensor:
    """As `settings.find(probability)`.

    Args:
        probability: `(height, width)` float32, of foreground.
        settings: How objects are found.

    Returns:
        `(height, width)` int32 ids from 1 without gaps, in reading order; 0 for background.
    """
    above = probability > settings.upper
    if settings.watershed:
        heights = distance_heights(above)
        summits = peaks(heights, check_depth(settings.depth), above)
        ids = flooded(connected_components(_or_whole(summits, above)), heights, above)
    else:
        ids = connected_components(above)
    if settings.threshold < settings.upper:
        above = probability > settings.threshold
        ids = flooded(ids, tf.round(tf.where(above, probability, 0.0) * FLOOD_LEVELS), above)
    return expand_between(drop_small(ids, settings.min_size), settings.expand)


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


def distance_heights(mask: tf.Tensor) -> tf.Tensor:
    """Euclidean distance of each pixel of a mask to the background, in sixteenths of a pixel, rounded, float32.

    First the distance along columns, then the least sum of squares along rows; each step looks one pixel further, as
    long as that may still be nearer.
    """
    column = tf.where(mask, FARTHEST, 0)

    def nearer(found: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        padded = tf.pad(found, [[1, 1], [0, 0]], constant_values=FARTHEST)
        least = tf.minimum(found, tf.minimum(padded[2:], padded[:-2]) + 1)
        return least, tf.reduce_any(least != found)

    column, _ = tf.while_loop(lambda _, changed: changed, nearer, (column, tf.constant(True)), parallel_iterations=1)
    squares, width = column * column, tf.shape(mask)[1]

    def further(found: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        padded = tf.pad(squares, [[0, 0], [step, step]], constant_values=FARTHEST * FARTHEST)
        beside = tf.minimum(padded[:, :width], padded[:, 2 * step :]) + step * step
        return tf.minimum(found, beside), step + 1

    distance, _ = tf.while_loop(
        lambda found, step: (step < width) & (step * step < tf.reduce_max(found)),
        further,
        (squares, tf.constant(1)),
        parallel_iterations=1,
    )
    return tf.cast(tf.round(tf.sqrt(tf.cast(distance, tf.float64)) * 16.0), tf.float32)


def peaks(heights: tf.Tensor, depth: int, mask: tf.Tensor) -> tf.Tensor:
    """As `keras_unet.instances.marker_watershed.peaks`."""
    levelled = _reconstructed(tf.where(mask, heights - float(depth), heights), heights)
    below = _reconstructed(tf.where(mask, levelled - 1.0, levelled), levelled)
    return mask & (levelled > below)


def _or_whole(summits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Summits, and components of the mask without any: what rises by less than the depth is one object."""
    components, found = connected_components(mask), tf.cast(summits, tf.int32)
    count = tf.reduce_max(components) + 1
    has_summit = tf.math.unsorted_segment_max(tf.reshape(found, [-1]), tf.reshape(components, [-1]), count) > 0
    return summits | (mask & ~tf.gather(has_summit, components))


def _reconstructed(start: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(start))

    def spread(found: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        padded, highest = tf.pad(found, [[1, 1], [1, 1]], constant_values=_LOWEST), found
        for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
            highest = tf.maximum(highest, padded[down : down + height, right : right + width])
        highest = tf.minimum(highest, limit)
        return highest, tf.reduce_any(highest != found)

    return tf.while_loop(lambda _, changed: changed, spread, (start, tf.constant(True)), parallel_iterations=1)[0]


def flooded(seeds: tf.Tensor, heights: tf.Tensor, foreground: tf.Tensor) -> tf.Tensor:
    """Share each component of the foreground among its seeds, as in `keras_unet.instances`.

    Args:
        seeds: `(height, width)` int32 ids within the foreground.
        heights: `(height, width)` float32 whole numbers.
        foreground: `(height, width)` bool.
    """
    components = connected_components(foreground)
    seed_count, count = tf.reduce_max(seeds) + 1, tf.reduce_max(components) + 1
    home = tf.math.unsorted_segment_max(tf.reshape(components, [-1]), tf.reshape(seeds, [-1]), seed_count)[1:]
    numbers = tf.range(1, seed_count)
    seeded = tf.math.unsorted_segment_sum(tf.ones_like(home), home, count)
    owner = tf.maximum(tf.math.unsorted_segment_max(numbers, home, count), 0)
    contested = foreground & (tf.gather(seeded, components) > 1)
    shared = _watershed(tf.where(contested, seeds, 0), heights, contested)
    return tf.where(contested, shared, tf.where(foreground, tf.gather(owner, components), 0))


def _watershed(seeds: tf.Tensor, heights: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """As `keras_unet.instances.watershed`: the same waves, of pixels that await their turn at the current level.

    In the flattened ids, framed by background, -1 stands for a pixel that is free.
    """
    width = tf.shape(mask)[1] + 2
    ids = tf.reshape(tf.pad(tf.where(mask & (seeds == 0), -1, seeds), [[1, 1], [1, 1]]), [-1])
    ground = tf.reshape(tf.pad(heights, [[1, 1], [1, 1]]), [-1])
    waiting = tf.cast(tf.where(ids > 0)[:, 0], tf.int32)
    steps = (-width, -1, 1, width)
    beside_free = [tf.gather(ids, waiting + step) < 0 for step in steps]
    waiting = tf.boolean_mask(waiting, tf.reduce_any(tf.stack(beside_free), axis=0))

    def flood(ids: tf.Tensor, waiting: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        waiting_ground = tf.gather(ground, waiting)
        level = tf.reduce_max(waiting_ground)
        due = waiting_ground >= level

        def wave(ids: tf.Tensor, front: tf.Tensor, later: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            targets = tf.concat([front + step for step in steps], axis=0)
            names = tf.tile(tf.gather(ids, front), [4])
            is_free = tf.gather(ids, targets) < 0
            targets, names = tf.boolean_mask(targets, is_free), tf.boolean_mask(names, is_free)
            claimed, claim = tf.unique(targets)  # in the order of the steps; the first claim counts
            names = tf.gather(names, tf.math.unsorted_segment_min(tf.range(tf.size(claim)), claim, tf.size(claimed)))
            ids = tf.tensor_scatter_nd_update(ids, claimed[:, None], names)
            high = tf.gather(ground, claimed) >= level
            later = tf.concat([later, tf.boolean_mask(claimed, ~high)], axis=0)
            return ids, tf.boolean_mask(claimed, high), later

        vectors = (tf.TensorShape([None]),) * 3
        start = (ids, tf.boolean_mask(waiting, due), tf.boolean_mask(waiting, ~due))
        ids, _, later = tf.while_loop(
            lambda _ids, front, _later: tf.size(front) > 0, wave, start, vectors, parallel_iterations=1
        )
        return ids, later

    vectors = (tf.TensorShape([None]),) * 2
    ids, _ = tf.while_loop(
        lambda _, waiting: tf.size(waiting) > 0, flood, (ids, waiting), vectors, parallel_iterations=1
    )
    return tf.maximum(tf.reshape(ids, [-1, width])[1:-1, 1:-1], 0)


def drop_small(ids: tf.Tensor, min_size: int) -> tf.Tensor:
    """As `keras_unet.instances.drop_small`."""
    flat, count = tf.reshape(ids, [-1]), tf.reduce_max(ids) + 1
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(flat), flat, count)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(flat)), flat, count)
    keep = (sizes >= max(min_size, 1)) & (tf.range(count) > 0)
    is_first = tf.gather(keep, flat) & (tf.gather(first, flat) == tf.range(tf.size(flat)))
    numbers = tf.gather(tf.cumsum(tf.cast(is_first, tf.int32)), tf.minimum(first, tf.size(flat) - 1))
    return tf.reshape(tf.gather(tf.where(keep, numbers, 0), flat), tf.shape(ids))


def expand_between(ids: tf.Tensor, width: int) -> tf.Tensor:
    """As `keras_unet.instances.expand_between`."""
    owners, nearest = tf.zeros_like(ids), tf.fill(tf.shape(ids), _FAR)
    for down, right, steps in lines(width):
        ahead, to_ahead = _first_object(ids, down, right, steps)
        behind, to_behind = _first_object(ids, -down, -right, steps)
        distance = tf.minimum(to_ahead, to_behind) ** 2 * (down * down + right * right)
        between = (ahead > 0) & (behind > 0) & (ahead != behind) & (to_ahead + to_behind <= steps + 1)
        better = between & (distance < nearest)
        owners = tf.where(better, tf.where(to_ahead <= to_behind, ahead, behind), owners)
        nearest = tf.where(better, distance, nearest)
    return tf.where(ids == 0, owners, ids)


def _first_object(ids: tf.Tensor, down: int, right: int, steps: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Id of the first object met from each pixel, 0 for none, and after how many steps."""
    height, width = tf.unstack(tf.shape(ids))
    padded = tf.pad(ids, [[steps, steps], [steps, steps]])
    met, after = tf.zeros_like(ids), tf.fill(tf.shape(ids), steps + 1)
    for count in range(steps, 0, -1):
        there = _shifted(padded, steps + count * down, steps + count * right, height, width, after=met)
        met, after = tf.where(there > 0, there, met), tf.where(there > 0, count, after)
    return met, after


def _lowest_neighbour(values: tf.Tensor, outside: tf.Tensor) -> tf.Tensor:
    """The least of each of `(height, width)` values and those above, below, to the left and to the right."""
    padded, lowest = tf.pad(values, [[1, 1], [1, 1]], constant_values=outside), values
    height, width = tf.unstack(tf.shape(values))
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        lowest = tf.minimum(lowest, _shifted(padded, down, right, height, width, after=lowest))
    return lowest


def _shifted(
    padded: tf.Tensor, down: int, right: int, height: tf.Tensor, width: tf.Tensor, after: tf.Tensor
) -> tf.Tensor:
    """Part of `padded`; taken only `after` another tensor is there, so that memory holds one such part at a time."""
    with tf.control_dependencies([after]):
        return padded[down : down + height, right : right + width]
