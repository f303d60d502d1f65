"""From foreground probabilities to objects told apart.

Plain arrays throughout: (height, width), integer ids, 0 for background.
"""

from __future__ import annotations

import math
from numbers import Real

import cv2
import numpy as np
import numpy.typing as npt

from keras_unet.growing import grow_instances, steps_by_distance
from keras_unet.label_checks import (
    LARGEST_ID,
    Labels,
    check_count,
    check_labels,
    check_plane,
    check_probability,
    check_same_shape,
    check_threshold,
)
from keras_unet.overlaps import (
    Contingency,
    Overlaps,
    contingency,
    iou_matrix,
    match_instances,
    separated_pairs,
    touching_pairs,
)
from keras_unet.watershed import Heights, Mask, peaks, watershed

__all__ = [
    "LARGEST_ID",
    "Contingency",
    "Labels",
    "Overlaps",
    "check_labels",
    "check_probability",
    "check_same_shape",
    "check_threshold",
    "class_components",
    "connected_components",
    "contingency",
    "fill_holes",
    "grow_instances",
    "instances",
    "iou_matrix",
    "match_instances",
    "separated_pairs",
    "steps_by_distance",
    "touching_pairs",
    "watershed",
    "watershed_instances",
]

# Heights are rounded, so that flooding takes some hundred steps: to a sixteenth of a pixel, to 1/256 of probability.
_UNITS = {"distance": 16, "probability": 256}
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
    probability: npt.ArrayLike, threshold: float = 0.5, min_size: int = 0, grow: int = 0, largest_hole: int = 0
) -> Labels:
    """Tell objects apart: threshold, holes filled, 4-connected components, no small ones, grown back.

    Args:
        probability: (height, width) probability of foreground in [0, 1].
        threshold: a pixel is foreground where its probability is greater.
        min_size: smallest area in pixels of an object that is kept, measured before growing.
        grow: radius in pixels by which objects are grown into the background without merging, see
            `grow_instances`; 1 gives back what a separation border of one pixel took.
        largest_hole: largest area in pixels of a hole that is filled, see `fill_holes`.

    Returns:
        (height, width) int32 ids from 1 without gaps, 0 for background; the largest is the count.

    Raises:
        ValueError: a wrong rank, probabilities outside [0, 1] or NaN, a threshold outside [0, 1],
            or a negative size.
    """
    foreground = check_probability(probability) > check_threshold(threshold)
    labels = connected_components(fill_holes(foreground, largest_hole))
    return grow_instances(_drop_small(labels, check_count(min_size, "min_size")), grow)


def watershed_instances(
    probability: npt.ArrayLike,
    threshold: float = 0.5,
    min_size: int = 0,
    grow: int = 0,
    largest_hole: int = 0,
    *,
    by: str = "distance",
    depth: float | None = None,
) -> Labels:
    """Tell objects apart as `instances` does, and part those that hang together at their waists.

    Each peak of the distance to the background (or of the probability) becomes an object; they meet in the valleys
    between, where no pixel is lost. To use markers of your own, call `watershed`.

    Args:
        probability: (height, width) probability of foreground in [0, 1].
        threshold: a pixel is foreground where its probability is greater.
        min_size: smallest area in pixels of an object that is kept, measured before growing.
        grow: radius in pixels by which objects are grown into the background, see `instances`.
        largest_hole: largest area in pixels of a hole that is filled, see `fill_holes`. Around a hole left open
            the distance has several peaks.
        by: "distance" parts round objects by their shape, "probability" objects of any shape between which the
            probability sinks.
        depth: a peak that rises by more above the pass to a higher one is an object of its own, in pixels of
            distance (default 1) or as a probability (default 0.1). A greater depth parts less.

    Returns:
        (height, width) int32 ids from 1 without gaps, 0 for background; the largest is the count.

    Raises:
        ValueError: as for `instances`, another word for `by`, or a depth that is not positive.
    """
    chance = check_probability(probability)
    foreground = fill_holes(chance > check_threshold(threshold), largest_hole)
    heights = _heights(chance, foreground, by)
    summits = peaks(heights, _check_depth(depth, by), foreground)
    labels = _part_components(connected_components(foreground), connected_components(summits), heights)
    return grow_instances(_drop_small(labels, check_count(min_size, "min_size")), grow)


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
        distance = cv2.distanceTransform(foreground.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Without any background the distance is endless.
        heights = np.minimum(distance, sum(foreground.shape))
    else:
        heights = np.where(foreground, chance, 0)
    return np.asarray(np.rint(heights * _UNITS[by]), dtype=np.float32)


def _check_depth(depth: float | None, by: str) -> int:
    """A depth in whole units of the heights, at least one."""
    value = _DEPTHS[by] if depth is None else depth
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"Expected a positive depth. Received {depth}.")
    return max(round(value * _UNITS[by]), 1)


def _part_components(components: Labels, summits: Labels, heights: Heights) -> Labels:
    """Part components with several summits among them; others stay whole."""
    within = np.zeros(summits.max() + 1, np.int32)
    within[summits] = components
    within[0] = 0
    several = np.bincount(within[1:], minlength=components.max() + 1) > 1
    contested = several[components]
    parts = watershed(heights, summits, contested)
    return np.where(contested, parts + np.int32(components.max()), components)


def _drop_small(labels: Labels, min_size: int) -> Labels:
    """Leave out small objects and number the others without gaps."""
    keep = np.bincount(labels.ravel()) >= max(min_size, 1)
    keep[0] = False
    renumbered = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return renumbered[labels]
