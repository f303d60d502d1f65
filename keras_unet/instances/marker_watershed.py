"""Watershed from markers: where objects that touch are parted along the valleys between their peaks.

Plain arrays throughout: (height, width), integer ids, 0 for background. Pixels are 4-connected.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from keras_unet.instances.label_checks import Labels, check_labels, check_plane

Heights = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]

FARTHEST = 2**14  # pixels; without any background the distance is endless
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def watershed(heights: npt.ArrayLike, markers: npt.ArrayLike, mask: npt.ArrayLike) -> Labels:
    """Grow markers over a mask from high ground to low until they meet; no line is left between them.

    A pixel goes to the marker that reaches it first: over higher ground first, on equal ground in fewer steps, of
    equal steps from below and from the right first, the side on which `expand_between` seeks the owner too.
    The time taken grows with the number of distinct heights: round heights of large images to some hundred.

    Args:
        heights: (height, width) numbers, highest inside objects, such as distances or probabilities.
        markers: the same shape, ids, 0 where there is none; markers outside the mask do not count.
        mask: the same shape, nonzero where objects may be.

    Returns:
        (height, width) int32 ids of the markers, 0 outside the mask and in parts of it without a marker.

    Raises:
        ValueError: shapes that differ, heights that are no numbers or NaN, or markers that are not ids.

    Reference: Meyer, Signal Processing 38 (1994); Beucher and Meyer in Dougherty, Mathematical Morphology in Image
        Processing (1993), the hierarchical queue.
    """
    ground, inside = _check_heights(heights), np.asarray(mask) != 0
    seeds = check_labels(markers, "markers")
    if not ground.shape == seeds.shape == inside.shape:
        raise ValueError(
            f"Expected heights, markers and a mask of one shape. "
            f"Received {ground.shape}, {seeds.shape} and {inside.shape}."
        )
    columns = ground.shape[1] + 2
    labels = np.pad(np.where(inside, seeds, 0), 1)
    free = np.pad(inside, 1) & (labels == 0)
    _flood(np.pad(ground, 1).ravel(), labels.ravel(), free.ravel(), (-columns, -1, 1, columns))
    return labels[1:-1, 1:-1].copy()


def peaks(heights: Heights, depth: float, mask: Mask) -> Mask:
    """Pixels of the peaks that rise by more than `depth` above the way to any higher one.

    Lesser peaks are levelled first, then the summits that remain are taken.

    Args:
        heights: (height, width) non-negative whole numbers, 0 outside the mask.
        depth: a whole number from 1 on.
        mask: (height, width), where peaks are sought.

    Reference: Soille, Morphological Image Analysis (2003), section 6.3.4, the extended maxima.
    """
    levelled = _reconstruct(np.where(mask, heights - np.float32(depth), heights), heights)
    below = _reconstruct(np.where(mask, levelled - np.float32(1), levelled), levelled)
    return np.asarray(mask & (levelled > below))


def distance_to_background(mask: Mask) -> npt.NDArray[np.float64]:
    """Euclidean distance in pixels of each pixel of a mask to the nearest background, at most `FARTHEST`.

    OpenCV's distance differs from call to call in its last bits. Its square is a whole number, so that it is mended.
    """
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.sqrt(np.rint(np.square(np.minimum(distance, FARTHEST), dtype=np.float64))))


def _flood(heights: npt.NDArray[Any], labels: Labels, free: Mask, steps: tuple[int, ...]) -> None:
    """Fill the flattened `labels` where they are `free`; a frame of pixels around them is not free."""
    waiting = np.flatnonzero(labels)
    waiting = waiting[np.any([free[waiting + step] for step in steps], axis=0)]
    while waiting.size:
        level = heights[waiting].max()
        due = heights[waiting] >= level
        front, later = waiting[due], [waiting[~due]]
        while front.size:
            claimed = _claim_neighbours(front, labels, free, steps)
            high = heights[claimed] >= level
            later.append(claimed[~high])
            front = claimed[high]
        waiting = np.concatenate(later)


def _claim_neighbours(front: Positions, labels: Labels, free: Mask, steps: tuple[int, ...]) -> Positions:
    claimed = []
    for step in steps:
        owners = front[free[front + step]]
        labels[owners + step] = labels[owners]
        free[owners + step] = False
        claimed.append(owners + step)
    return np.concatenate(claimed)


def _reconstruct(start: Heights, limit: Heights) -> Heights:
    """Spread the heights of `start` to neighbours, nowhere above `limit`, until nothing changes."""
    while True:
        spread = np.minimum(cv2.dilate(start, _CROSS), limit)
        if np.array_equal(spread, start):
            return start
        start = spread


def _check_heights(heights: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(heights)
    check_plane(array, "heights")
    if array.dtype.kind not in "biuf" or np.isnan(array).any():
        raise ValueError(f"Expected heights as real numbers without NaN. Received {array.dtype}.")
    return array
