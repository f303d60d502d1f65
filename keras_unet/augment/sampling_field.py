"""One dense sampling field for image, label and weights: the geometry of the elastic warp.

A tile pixel `x` (row, column) is read from the image at

    source(x) = centre + A (x - tile centre + e(x)) / magnification

with a 2x2 matrix `A` (rotation, flips) and the elastic displacement `e` in pixels of the tile. As `A` stands outside,
it acts on the control vectors alone and neither costs anything per pixel nor makes the field fold. Outside the image
the mirror goes on for ever (numpy's "reflect", scipy's "mirror": the edge pixel is not repeated).

Every function here is made of TensorFlow ops that XLA can compile; nothing is random.
"""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

KNOT_LIMIT = 4.0
"""Control vectors are clipped at this many standard deviations, so that the warp's reach is known beforehand."""

UNFOLDED_SPACING = 9.35
"""Least distance of neighbouring control points, in standard deviations: 188 px for 3 points of 10 px.

From there up the field did not fold in 400 draws each of 2 to 12 points a side; 3 points on 128 px fold in 1.5 %.
"""


MANTISSA = 2**23
"""Whole numbers below this plus this are float32 whose last 23 bits are the number."""


def control_span(size: int, points: int, sigma: float) -> float:
    """Distance in pixels from the first to the last control point along an axis of `size` pixels.

    The outer control points lie on the outer pixels. Where that would crowd them so that the field may fold (fewer
    than 188 px for three points of 10 px), they are spread around the same centre until it does not.
    """
    return max(size - 1.0, UNFOLDED_SPACING * sigma * (points - 1), 1.0)


def interpolation_matrix(size: int, points: int, sigma: float) -> NDArray[np.float32]:
    """Clamped cubic-spline interpolation from control points to pixels, as a matrix.

    `rows @ grid @ columns.T` of two such matrices is the clamped bicubic interpolation of a coarse grid: it passes
    through the control vectors, so that their standard deviation is that of the displacement there.

    Args:
        size: Pixels along the axis.
        points: Control points along the axis, evenly spaced and centred (see `control_span`).
        sigma: Standard deviation of the control vectors in pixels; 0 for none.

    Returns:
        `(size, points)`.
    """
    half = control_span(size, points, sigma) / 2
    spline = CubicSpline(np.linspace(-half, half, points), np.eye(points), bc_type="clamped")
    return np.asarray(spline(_centred(size)), np.float32)


def displacement_limit(tile_size: tuple[int, int], points: int, sigma: float) -> float:
    """Largest displacement in pixels along one axis that clipped control vectors can cause in a tile."""
    overshoot = [np.abs(interpolation_matrix(size, points, sigma)).sum(axis=1).max() for size in tile_size]
    return KNOT_LIMIT * sigma * float(overshoot[0] * overshoot[1])


def reach(half_height: float, half_width: float, rotation: float) -> int:
    """Largest distance in rows from the centre to a point of a rectangle turned by up to `rotation` radians."""
    steepest = min(rotation, math.atan2(half_width, half_height))
    return math.ceil(math.cos(steepest) * half_height + math.sin(steepest) * half_width)


def mirror(position: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Fold positions of any distance into 0 … size - 1 as mirrors on the first and last pixel do."""
    last = tf.cast(size, tf.float32) - 1.0
    period = tf.maximum(2.0 * last, 1.0)
    return tf.minimum(tf.abs(position - period * tf.round(position * (1.0 / period))), last)


def source_positions(
    knots: tf.Tensor,
    matrix: tf.Tensor,
    magnification: tf.Tensor,
    centre: tf.Tensor,
    *,
    tile_size: tuple[int, int],
    image_size: tf.Tensor,
    sigma: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where in the image each pixel of a tile is read.

    Args:
        knots: `(batch, points, points, 2)` control vectors (rows, columns) in pixels of the tile.
        matrix: `(batch, 2, 2)` the matrix A.
        magnification: `(batch,)`, positive. Should not be a constant to XLA (see `_computed_once`).
        centre: `(batch, 2)` the tile's centre in the image, in pixels; pixel (0, 0) has its centre at (0, 0).
        tile_size: Height and width of the tile.
        image_size: `(batch, 2)` height and width of each image, or `(1, 2)` of all.
        sigma: Standard deviation of the control vectors (see `control_span`).

    Returns:
        Rows and columns, each `(batch, height, width)` float32 inside the image.
    """
    points = knots.shape[1]
    rows = interpolation_matrix(tile_size[0], points, sigma)
    columns = interpolation_matrix(tile_size[1], points, sigma)
    down = _centred(tile_size[0])[:, None]
    right = _centred(tile_size[1])[None, :]
    turned = tf.einsum("bijk,bak->baij", knots, matrix)
    along = tf.einsum("yi,baij->bayj", rows, turned)[..., None]  # (batch, 2, height, points, 1)
    magnification = magnification[:, None, None]

    def axis(index: int) -> tf.Tensor:
        step = matrix[:, index, :, None, None]  # (batch, 2, 1, 1)
        offset = step[:, 0] * down + step[:, 1] * right
        # Sums of outer products instead of a matrix product: XLA fuses them into one loop over the pixels.
        for point in range(points):
            offset += along[:, index, :, point] * columns[None, None, :, point]
        offset *= 1.0 / magnification
        position = mirror(centre[:, index, None, None] + offset, _of_each(image_size, index))
        return _computed_once(position, magnification)

    return axis(0), axis(1)


def sample(
    image: tf.Tensor,
    label: tf.Tensor | None,
    weight: tf.Tensor | None,
    positions: tuple[tf.Tensor, tf.Tensor],
    *,
    image_size: tf.Tensor,
    origin: tf.Tensor,
    window: tuple[slice, slice],
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Read image, label and weights at the positions; label and weights in a part of the tile only.

    The arrays hold the image, or the part of it that the positions lie in, with anything finite behind its end.

    Args:
        image: `(batch, height, width, channels)`, read bilinearly.
        label: `(batch, height, width)` integers or None, read at the nearest pixel (ties go down and right).
        weight: `(batch, height, width)` or None, read bilinearly.
        positions: Rows and columns `(batch, tile height, tile width)`, inside the image.
        image_size: `(batch, 2)` int32 height and width of each whole image, or `(1, 2)` of all.
        origin: `(batch, 2)` or `(1, 2)` int32 row and column of the image at which the arrays begin.
        window: Rows and columns of the tile for which label and weights are wanted.

    Returns:
        Image float32 `(batch, tile height, tile width, channels)`, or without the last axis if there is but one
        channel (XLA would copy the image for it); label in its own dtype and weights float32, both
        `(batch, window height, window width)`; None for what was None.
    """
    held = image.shape[1:3]
    corner, fraction = _corners(positions, image_size, origin, held)
    planes = [_bilinear(image[..., channel], corner, fraction) for channel in range(image.shape[3])]
    sampled = planes[0] if len(planes) == 1 else tf.stack(planes, axis=-1)
    inner = (slice(None), *window)
    corner, fraction = corner[inner], (fraction[0][inner], fraction[1][inner])
    down, right = _steps(held)
    nearest = corner + tf.where(fraction[0] >= 0.5, down, 0) + tf.where(fraction[1] >= 0.5, right, 0)
    return (
        sampled,
        None if label is None else tf.gather(tf.reshape(label, [-1]), nearest),
        None if weight is None else _bilinear(weight, corner, fraction),
    )


def cut(array: tf.Tensor, begin: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Cut a window of fixed size from `(height, width, …)`; where the array ends sooner, zeros fill it up."""
    rank = array.shape.rank
    start = tf.concat([begin, tf.zeros([rank - 2], tf.int32)], axis=0)
    wanted = tf.concat([tf.constant(size, tf.int32), tf.shape(array)[2:]], axis=0)
    part = tf.slice(array, start, tf.minimum(wanted, tf.shape(array) - start))
    missing = tf.stack([tf.zeros_like(wanted), wanted - tf.shape(part)], axis=1)
    return tf.ensure_shape(tf.pad(part, missing), [*size, *array.shape[2:]])


def channels_last(image: tf.Tensor, rank: int) -> tf.Tensor:
    """Give a sampled image of one channel its last axis back."""
    return image if image.shape.rank == rank else image[..., None]


def checked_arrays(
    image: tf.Tensor, label: tf.Tensor | None, weight: tf.Tensor | None, ranks: tuple[int, ...] = (3, 4)
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the arrays as tensors once their shapes fit together and the label is of whole numbers."""
    image = tf.convert_to_tensor(image)
    label, weight = (None if part is None else tf.convert_to_tensor(part) for part in (label, weight))
    if image.shape.rank not in ranks or image.shape[-1] is None:
        batch = " or a batch (batch, height, width, channels)" if 4 in ranks else ""
        raise ValueError(
            f"Expected an image (height, width, channels){batch}, the number of channels known. "
            f"Received shape {image.shape}; one channel is [..., None]."
        )
    for name, part in (("label", label), ("weight", weight)):
        if part is not None and not part.shape.is_compatible_with(image.shape[:-1]):
            raise ValueError(f"Expected {name} of shape {image.shape[:-1]}. Received {part.shape}.")
    if label is not None and not label.dtype.is_integer:
        raise ValueError(f"Expected a label of whole numbers. Received {label.dtype.name}.")
    return image, label, weight


def _computed_once(values: tf.Tensor, positive: tf.Tensor) -> tf.Tensor:
    """Let XLA keep the values for all who use them: a division by one that the compiler cannot foresee.

    Whatever has no dear operation in it is computed again for image, label and weights; a division counts as dear.
    """
    return values / tf.sign(positive)


def _of_each(values: tf.Tensor, axis: int) -> tf.Tensor:
    """One column of `(batch, 2)`, to be combined with `(batch, height, width)`."""
    return values[:, axis, None, None]


def _centred(size: int) -> NDArray[np.float32]:
    return np.asarray(np.arange(size) - (size - 1) / 2, np.float32)


def _steps(held: tuple[int, int]) -> tuple[int, int]:
    """How far the next row and the next column lie in a flat array; nowhere if there is only one."""
    return (held[1] if held[0] > 1 else 0, 1 if held[1] > 1 else 0)


def _corners(
    positions: tuple[tf.Tensor, tf.Tensor], image_size: tf.Tensor, origin: tf.Tensor, held: tuple[int, int]
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """Flat index of the upper left of the four pixels around each position, and the fractions down and right.

    On the last row (or column) the pair of rows before it is taken with fraction 1, so that the four pixels lie at
    fixed distances from the first and are read without further bounds.
    """
    whole, fractions = [], []
    for axis in (0, 1):
        last_pair = tf.maximum(tf.cast(_of_each(image_size, axis), tf.float32) - 2.0, 0.0)
        below = tf.minimum(tf.floor(positions[axis]), last_pair)
        whole.append(below - tf.cast(_of_each(origin, axis), tf.float32))
        fractions.append(positions[axis] - below)
    pixels = held[0] * held[1]
    if pixels <= MANTISSA:
        corner = _as_index(whole[0] * float(held[1]) + whole[1])
    else:
        corner = _as_index(whole[0]) * held[1] + _as_index(whole[1])
    # Several workers' batches have no size when the function is traced, though they have when it is compiled.
    starts = tf.range(tf.shape(positions[0])[0])[:, None, None] * pixels
    return corner + starts, (fractions[0], fractions[1])


def _as_index(whole: tf.Tensor) -> tf.Tensor:
    """Whole numbers from 0 to `MANTISSA` - 1 as int32, read from the bits of the float.

    XLA guards a cast against overflow and NaN, which costs more than the interpolation around it.
    """
    return tf.bitwise.bitwise_and(tf.bitcast(whole + float(MANTISSA), tf.int32), MANTISSA - 1)


def _bilinear(array: tf.Tensor, corner: tf.Tensor, fraction: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Interpolate `(batch, height, width)`: four reads from the flat array."""
    flat = tf.reshape(array, [-1])
    down, right = _steps(array.shape[1:3])
    upper, upper_right, lower, lower_right = (
        tf.cast(tf.gather(flat, corner + step), tf.float32) for step in (0, right, down, down + right)
    )
    upper, lower = _between(upper, upper_right, fraction[1]), _between(lower, lower_right, fraction[1])
    return _between(upper, lower, fraction[0])


def _between(low: tf.Tensor, high: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    """Interpolate; exact at both ends, as `low + fraction * (high - low)` is not."""
    return (1.0 - fraction) * low + fraction * high
