"""Expand labels between objects: pixels that a separation border took go back to the objects it separates.

Plain arrays throughout: (height, width), integer ids, 0 for background.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from keras_unet.instances.label_checks import Labels, check_count, check_labels

Positions = npt.NDArray[np.intp]


def expand_between(labels: npt.ArrayLike, width: int) -> Labels:
    """Give background pixels between two objects to the nearer one; outer contours stay as they are.

    A pixel lies between two objects if a straight line through it (row, column or diagonal) meets one on either side
    and the gap on that line is narrow. Of equally near objects the one to the right or below wins: a separation border
    is cut where a pixel's *earlier* neighbours belong to another object, hence the pixel's own object lies behind it.

    Args:
        labels: (height, width) ids, 0 for background.
        width: of the widest gap along rows, in pixels; along columns and diagonals one less, but at least one. 0
            leaves the labels as they are, 2 closes the border of `keras_unet.losses.separation_border`, which is
            two pixels wide along rows and one elsewhere.

    Returns:
        (height, width) int32 ids; object pixels are unchanged.

    Raises:
        ValueError: labels that are not ids, or a negative width.

    Example:
        >>> expand_between([[1, 1, 0, 0, 2, 0]], 2).tolist()
        [[1, 1, 1, 2, 2, 0]]
    """
    ids, radius = check_labels(labels, "labels"), check_count(width, "width")
    padded = np.pad(ids, radius)
    near = _background_within(ids, radius)
    owners, nearest = np.zeros(near.shape, np.int32), np.full(near.shape, np.iinfo(np.int32).max)
    for down, right, steps in lines(radius):
        step = down * padded.shape[1] + right
        ahead, to_ahead = _first_object(padded.ravel(), near, step, steps)
        behind, to_behind = _first_object(padded.ravel(), near, -step, steps)
        distance = np.minimum(to_ahead, to_behind) ** 2 * (down * down + right * right)
        between = (ahead > 0) & (behind > 0) & (ahead != behind) & (to_ahead + to_behind <= steps + 1)
        better = between & (distance < nearest)
        owners = np.where(better, np.where(to_ahead <= to_behind, ahead, behind), owners)
        nearest = np.where(better, distance, nearest)
    padded.ravel()[near] = owners
    return padded[radius : radius + ids.shape[0], radius : radius + ids.shape[1]].copy()


def lines(width: int) -> list[tuple[int, int, int]]:
    """(down, right) steps to a later pixel in reading order along row, column and diagonals, and pixels of a gap."""
    least = min(width, 1)
    column, diagonal = max(width - 1, least), max(int((width + 1.5) / 2**0.5) - 1, least)
    return [(0, 1, width), (1, 0, column), (1, 1, diagonal), (1, -1, diagonal)]


def _first_object(ids: Labels, positions: Positions, step: int, steps: int) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Id of the first object met from each position, 0 for none, and after how many steps."""
    met, after = np.zeros(positions.shape, np.int32), np.full(positions.shape, steps + 1)
    for count in range(steps, 0, -1):
        there = ids[positions + count * step]
        met, after = np.where(there > 0, there, met), np.where(there > 0, count, after)
    return met, after


def _background_within(ids: Labels, reach: int) -> Positions:
    """Positions, in the flattened labels padded by `reach`, of background that has an object within `reach`."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    reached = cv2.dilate((ids > 0).astype(np.uint8), square) > 0
    rows, columns = np.nonzero(reached & (ids == 0))
    return np.asarray((rows + reach) * (ids.shape[1] + 2 * reach) + columns + reach, dtype=np.intp)
