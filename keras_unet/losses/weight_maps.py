"""Weights of the loss at each pixel: class balance and the border term of equation 2.

    w(x) = w_c(x) + w0 * exp(-(d1(x) + d2(x))^2 / (2 sigma^2))

Ronneberger et al. 2015, section 3: the weight map "force[s] the network to learn the small separation borders that
we introduce between touching cells". d1 and d2 are the Euclidean distances in pixels, centre to centre, to the
nearest and to the second nearest cell; a distance is 0 inside a cell. An *instance* is a positive number in an
array of labels, of one or of several parts; 0 is background.

The paper leaves open where the gap lies and how classes are balanced. Here the gap is cut by `separation_border`,
distances are measured before it is cut, and classes weigh inversely to their frequency: 1 in the mean over the
pixels, so that w0 means the same for every data set, and at most 10 times as much as another class.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, isfinite, log, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from keras_unet.utils.argument_checks import refuse_path

LARGEST_RATIO = 10.0
"""Largest weight of a class as a multiple of the smallest: a few stray pixels must not outweigh all others."""

_FIRST, _LAST, _ALL = slice(None, -1), slice(1, None), slice(None)

# A pixel and one of the four 8-neighbours that precede it in reading order: left, above left, above, above right.
_PRECEDING = (
    ((_ALL, _LAST), (_ALL, _FIRST)),
    ((_LAST, _LAST), (_FIRST, _FIRST)),
    ((_LAST, _ALL), (_FIRST, _ALL)),
    ((_LAST, _FIRST), (_FIRST, _LAST)),
)


def separation_border(labels: ArrayLike) -> NDArray[Any]:
    """Cut a thin gap of background between touching instances.

    A pixel becomes background when one of its four preceding 8-neighbours (left and the three above) belongs to
    another instance. So the gap is one pixel wide along horizontal borders and two along vertical ones, where the
    neighbour above right counts as well; touching corners are parted too. Looking at all eight neighbours would
    cut two pixels everywhere.

    Args:
        labels: Integers `(height, width)`, instance ids, 0 for background.

    Returns:
        A copy of the same shape and dtype.

    Raises:
        ValueError: If `labels` are not integers, are negative, empty or not two-dimensional.

    Reference:
        The rule of the authors' later release (U-Net Segmentation for Fiji, `TrainingSample.java`); the paper says
        only "morphological operations".
    """
    labels = _checked(labels)
    touching = np.zeros(labels.shape, bool)
    for here, neighbour in _PRECEDING:
        touching[here] |= (labels[neighbour] != 0) & (labels[neighbour] != labels[here])
    separated = labels.copy()
    separated[touching] = 0
    return separated


def weight_map(
    labels: ArrayLike, w0: float = 10.0, sigma: float = 5.0, class_weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Equation 2: class balance everywhere, and the border term where the *separated* labels are background.

    Args:
        labels: Integers `(height, width)`, instance ids, 0 for background, before any gap is cut.
        w0: Weight added where the two nearest cells touch.
        sigma: Width of the border term in pixels.
        class_weights: `(background, foreground)`, from the whole training set where there is one. None: from the
            frequencies in this image.

    Returns:
        float32 `(height, width)`. With fewer than two cells the border term is 0.

    Raises:
        ValueError: If `labels` are not integers, are negative, empty or not two-dimensional, or a number is out of
            its range.

    Example:
        >>> weight_map([[1, 0, 0, 2]], class_weights=(1.0, 0.5)).round(2)
        array([[0.5 , 9.35, 9.35, 0.5 ]], dtype=float32)
    """
    labels = _checked(labels)
    foreground = separation_border(labels) != 0
    if class_weights is None:
        class_weights = class_weights_from_counts(np.bincount(foreground.ravel(), minlength=2)).tolist()
    of_background, of_foreground = _checked_pair(class_weights)
    return np.where(foreground, np.float32(of_foreground), border_term(labels, w0, sigma) + np.float32(of_background))


def border_term(
    labels: ArrayLike, w0: float = 10.0, sigma: float = 5.0, tolerance: float = 1e-6
) -> NDArray[np.float32]:
    """w0 * exp(-(d1 + d2)^2 / (2 sigma^2)) at every pixel, inside cells (d1 = 0) as well.

    A cell further than R = sigma * sqrt(2 ln(1 / tolerance)) from a pixel cannot add `tolerance * w0` there (26.3 px
    with the paper's sigma). So a cell's exact distance transform is needed in its bounding box grown by R alone, and
    two running minima take the place of a stack of distances: time goes with the area of the cells, memory with the
    image.

    Args:
        labels: Integers `(height, width)`, instance ids, 0 for background, before any gap is cut.
        w0: Weight where the two nearest cells touch, at least 0.
        sigma: Width in pixels, above 0.
        tolerance: Largest error made by leaving cells out, between 0 and 1, as a part of `w0`.

    Returns:
        float32 `(height, width)`, 0 with fewer than two cells.

    Raises:
        ValueError: If `labels` are not integers, are negative, empty or not two-dimensional, or a number is out of
            its range.
    """
    labels = _checked(labels)
    if not (isfinite(w0) and w0 >= 0):
        raise ValueError(f"Expected w0 of at least 0. Received w0={w0!r}.")
    if not (isfinite(sigma) and sigma > 0):
        raise ValueError(f"Expected sigma above 0. Received sigma={sigma!r}.")
    if not 0 < tolerance < 1:
        raise ValueError(f"Expected a tolerance between 0 and 1. Received tolerance={tolerance!r}.")
    reach = ceil(sigma * sqrt(-2.0 * log(tolerance)))
    distance = np.add(*_two_smallest_distances(_compact(labels), reach))
    distance /= np.float32(sigma * sqrt(2.0))
    term: NDArray[np.float32] = np.exp(-(distance * distance))
    term *= np.float32(w0)
    return term


def class_weights_from_counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Balance of classes: inverse frequency, with a mean of 1 over all pixels counted.

    A class weighs at most `LARGEST_RATIO` times as much as the most frequent one. A class that is absent weighs 1: a
    pixel of it that turns up later counts as any other.

    Args:
        counts: Pixels `(classes,)` of each class, summed over the whole training set.

    Returns:
        float64 `(classes,)`, above 0.

    Raises:
        ValueError: If a count is negative or not finite, or there is no pixel at all.

    Example:
        >>> class_weights_from_counts([300, 100]).round(3).tolist()
        [0.667, 2.0]
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(f"Expected pixel counts (classes,) of at least 0. Received {counts.tolist()}.")
    present = counts > 0
    if not present.any():
        raise ValueError(f"Expected at least one pixel in one class. Received counts {counts.tolist()}.")
    weights = np.ones(counts.shape)
    inverse = np.minimum(1.0 / counts[present], LARGEST_RATIO / counts.max())
    weights[present] = inverse * counts.sum() / (inverse * counts[present]).sum()
    return weights


def _two_smallest_distances(labels: NDArray[np.int32], reach: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances to the nearest and to the second nearest instance; infinite where none is within `reach`."""
    nearest = np.full(labels.shape, np.inf, np.float32)
    second = nearest.copy()
    with _without_ipp():
        for number, window in _windows(labels, reach):
            outside = (labels[window] != number).view(np.uint8)
            distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            # In place, through views; OpenCV takes half of NumPy's time on small windows.
            cv2.min(second[window], cv2.max(nearest[window], distance), second[window])
            cv2.min(nearest[window], distance, nearest[window])
    return nearest, second


@contextmanager
def _without_ipp() -> Iterator[None]:
    """Leave OpenCV to its own distance transform, which is 1.5 times as fast as Intel's; a switch of this thread."""
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(before)


def _windows(labels: NDArray[np.int32], reach: int) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Each instance's number and its bounding box grown by `reach` pixels, clipped to the image."""
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            yield number, tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)


def _compact(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Renumber instances with small ids: the list of bounding boxes is as long as the largest id."""
    if int(labels.max()) <= labels.size:
        return labels.astype(np.int32)
    ids, numbers = np.unique(labels, return_inverse=True)
    first = 0 if ids[0] == 0 else 1
    return np.asarray(numbers.reshape(labels.shape) + first, np.int32)


def _checked(labels: ArrayLike) -> NDArray[Any]:
    refuse_path(labels, "keras_unet.image_io.read_labels reads a file")
    array = np.asarray(labels)
    if array.dtype == bool:
        raise ValueError("Expected instance ids. Received a bool mask: number its objects (scipy.ndimage.label).")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"Expected labels of an integer type, instance ids. Received dtype {array.dtype}.")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"Expected labels (height, width) of at least 1x1 pixel. Received shape {array.shape}.")
    if array.min() < 0:
        raise ValueError(f"Expected instance ids of 0 (background) or more. Received {array.min()}.")
    return array


def _checked_pair(class_weights: Sequence[float]) -> tuple[float, float]:
    weights = [float(weight) for weight in class_weights]
    if len(weights) != 2 or not all(isfinite(weight) and weight >= 0 for weight in weights):
        raise ValueError(f"Expected class_weights (background, foreground) of at least 0. Received {weights}.")
    return weights[0], weights[1]
