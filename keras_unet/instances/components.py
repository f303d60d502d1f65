"""Instance segmentation: from foreground probabilities to numbered objects.

Plain arrays throughout: (height, width), integer ids, 0 for background.
"""

from __future__ import annotations

import math
from numbers import Real

import cv2
import numpy as np
import numpy.typing as npt

from keras_unet.instances.expansion import expand_between
from keras_unet.instances.label_checks import (
    Labels,
    check_count,
    check_labels,
    check_plane,
    check_probability,
    check_same_shape,
    check_threshold,
)
from keras_unet.instances.marker_watershed import Heights, Mask, distance_to_background, peaks, watershed

# Heights are rounded, so that flooding takes some hundred steps: to a sixteenth of a pixel, to 1/256 of probability.
_UNITS = {"distance": 16, "probability": 256}
FLOOD_LEVELS = 32  # of probability in `flood_down`
_DEPTHS = {"distance": 1.0, "probability": 0.1}


def connected_components(mask: npt.ArrayLike) -> Labels:
    """Label the 4-connected components of a mask.

    Args:
        mask: (height, width), foreground where nonzero.

    Returns:
        (height, width) int32 ids from 1 without gaps, 0 for background.

    Raises:
        ValueError: the mask is not two-dimensional or has no pixels.
    """
    foreground = np.asarray(mask) != 0
    check_plane(foreground, "a mask")
    _, labels = cv2.connectedComponents(foreground.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return np.asarray(labels, dtype=np.int32)


def class_components(classes: npt.ArrayLike) -> Labels:
    """Number the 4-connected components of each class but 0, so that objects of different classes stay apart.

    Args:
        classes: (height, width) integers, 0 for background.

    Returns:
        (height, width) int32 ids from 1 without gaps, 0 for background.

    Raises:
        ValueError: the classes are not two-dimensional or have no pixels.
    """
    classes = np.asarray(classes)
    check_plane(classes, "classes")
    ids = np.zeros(classes.shape, np.int32)
    for value in np.unique(classes[classes > 0]):
        parts = connected_components(classes == value)
        ids = np.where(parts > 0, parts + ids.max(), ids)
    return ids


def instances(
    probability: npt.ArrayLike, threshold: float = 0.5, min_size: int = 0, expand: int = 0, largest_hole: int = 0
) -> Labels:
    """Number objects: threshold, holes filled, 4-connected components, no small ones, gaps between them closed.

    Args:
        probability: (height, width) probability of foreground in [0, 1].
        threshold: a pixel is foreground where its probability is greater.
        min_size: smallest area in pixels of an object that is kept, measured before expanding.
        expand: width in pixels of gaps between two objects that are closed, see `expand_between`; 2 gives back what a
            separation border took.
        largest_hole: largest area in pixels of a hole that is filled, see `fill_holes`.

    Returns:
        (height, width) int32 ids from 1 in reading order without gaps, 0 for background; the largest is the count.

    Raises:
        ValueError: a wrong rank, probabilities outside [0, 1] or NaN, a threshold outside [0, 1],
            or a negative size.
    """
    foreground = check_probability(probability) > check_threshold(threshold)
    labels = connected_components(fill_holes(foreground, largest_hole))
    return expand_between(drop_small(labels, min_size), expand)


def watershed_instances(
    probability: npt.ArrayLike,
    threshold: float = 0.5,
    min_size: int = 0,
    expand: int = 0,
    largest_hole: int = 0,
    *,
    by: str = "distance",
    depth: float | None = None,
) -> Labels:
    """Number objects as `instances` does, and split touching ones by a watershed from h-maxima.

    Each h-maximum of the distance transform (or of the probability) becomes an object; they meet in the valleys
    between, where no pixel is lost. To use markers of your own, call `watershed`.

    Args:
        probability: (height, width) probability of foreground in [0, 1].
        threshold: a pixel is foreground where its probability is greater.
        min_size: smallest area in pixels of an object that is kept, measured before expanding.
        expand: width in pixels of gaps between two objects that are closed, see `instances`.
        largest_hole: largest area in pixels of a hole that is filled, see `fill_holes`. Around a hole left open
            the distance has several peaks.
        by: "distance" splits round objects by their shape, "probability" objects of any shape between which the
            probability sinks.
        depth: the h of the h-maxima: a peak that rises by more above the pass to a higher one is an object of its
            own, in pixels of distance (default 1) or as a probability (default 0.1). A greater depth splits less.

    Returns:
        (height, width) int32 ids from 1 in reading order without gaps, 0 for background; the largest is the count.

    Raises:
        ValueError: as for `instances`, another word for `by`, or a depth that is not positive.
    """
    chance = check_probability(probability)
    foreground = fill_holes(chance > check_threshold(threshold), largest_hole)
    heights = _heights(chance, foreground, by)
    summits = peaks(heights, check_depth(depth, by), foreground)
    components = connected_components(foreground)
    has_summit = np.bincount(components[summits], minlength=components.max() + 1) > 0
    summits |= foreground & ~has_summit[components]  # what rises by less than the depth is one object
    labels = _flooded(connected_components(summits), heights, foreground)
    return expand_between(drop_small(labels, min_size), expand)


def flood_down(seeds: npt.ArrayLike, probability: npt.ArrayLike, threshold: float) -> Labels:
    """Extend objects found above an upper threshold down to a lower one: a marker-controlled watershed.

    A component of the lower threshold with one seed belongs to it as a whole, one with several is shared by a watershed
    on the probability, rounded to 1/32, and one without any is dropped. With seeds that are components this is
    hysteresis thresholding, where objects stay separate.

    Args:
        seeds: (height, width) ids of 4-connected objects, 0 for background, none of them below the lower threshold.
        probability: the same shape, probability of foreground in [0, 1].
        threshold: the lower one.

    Returns:
        (height, width) int32 ids of the seeds.

    Raises:
        ValueError: shapes that differ, seeds that are not ids, or a threshold or probability outside [0, 1].
    """
    markers, chance = check_labels(seeds, "seeds"), check_probability(probability)
    check_same_shape(markers, chance)
    foreground = chance > check_threshold(threshold)
    heights = np.rint(np.where(foreground, chance, 0) * FLOOD_LEVELS).astype(np.float32)
    return _flooded(np.where(foreground, markers, 0), heights, foreground)


def drop_small(labels: npt.ArrayLike, min_size: int) -> Labels:
    """Leave out objects of fewer than `min_size` pixels; number the others in reading order without gaps.

    Raises:
        ValueError: labels that are not ids, or a negative size.
    """
    ids, least = check_labels(labels, "labels"), max(check_count(min_size, "min_size"), 1)
    keep = np.bincount(ids.ravel()) >= least
    keep[0] = False
    first = np.full(keep.size, ids.size)
    first[ids.ravel()[::-1]] = np.arange(ids.size)[::-1]  # the last one written is an object's first pixel
    order = np.argsort(np.where(keep, first, ids.size), kind="stable")[: np.count_nonzero(keep)]
    numbers = np.zeros(keep.size, np.int32)
    numbers[order] = np.arange(1, order.size + 1)
    return numbers[ids]


def fill_holes(mask: npt.ArrayLike, largest: int) -> Mask:
    """Fill background that foreground encloses, as 4-connected foreground does: holes are 8-connected.

    Args:
        mask: (height, width), foreground where nonzero.
        largest: largest area in pixels of a hole that is filled; 0 fills none. What touches the image's edge is
            no hole.

    Returns:
        (height, width) booleans.

    Raises:
        ValueError: the mask is not two-dimensional or has no pixels, or a negative area.
    """
    foreground = np.asarray(mask) != 0
    check_plane(foreground, "a mask")
    if check_count(largest, "largest_hole") == 0:
        return np.asarray(foreground, dtype=np.bool_)
    background = (~foreground).view(np.uint8)
    _, labels, found, _ = cv2.connectedComponentsWithStats(background, connectivity=8, ltype=cv2.CV_32S)
    left, top, width, height, area = found.T
    rows, columns = foreground.shape
    inside = (left > 0) & (top > 0) & (left + width < columns) & (top + height < rows)
    hole = inside & (area <= largest)
    hole[0] = False  # the foreground itself
    return np.asarray(foreground | hole[labels], dtype=np.bool_)


def _heights(chance: npt.NDArray[np.floating], foreground: Mask, by: str) -> Heights:
    """Heights of the foreground in whole units, 0 in the background."""
    if by not in _UNITS:
        raise ValueError(f"Expected by as one of {', '.join(map(repr, _UNITS))}. Received {by!r}.")
    if by == "distance":
        return np.asarray(np.rint(distance_to_background(foreground) * _UNITS[by]), dtype=np.float32)
    return np.asarray(np.rint(np.where(foreground, chance, 0) * _UNITS[by]), dtype=np.float32)


def check_depth(depth: float | None, by: str = "distance") -> int:
    """Read the depth of h-maxima: in whole units of the heights, at least one.

    Raises:
        ValueError: no positive number.
    """
    value = _DEPTHS[by] if depth is None else depth
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"Expected a positive depth. Received {depth}.")
    return max(round(value * _UNITS[by]), 1)


def _flooded(seeds: Labels, heights: Heights, foreground: Mask) -> Labels:
    """Share each component of the foreground among its seeds; the watershed runs only where there are several."""
    components = connected_components(foreground)
    home = np.zeros(seeds.max() + 1, np.int32)  # the component of each seed
    home[seeds] = components
    counts = np.bincount(home[1:], minlength=components.max() + 1)
    owner = np.zeros(components.max() + 1, np.int32)
    owner[home[1:]] = np.arange(1, home.size)
    owner[0] = 0
    contested = (counts > 1)[components] & foreground
    return np.where(contested, watershed(heights, seeds, contested), owner[components])
