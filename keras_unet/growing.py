"""Growing objects into the background: what a separation border took is given back.

Plain arrays throughout: (height, width), integer ids, 0 for background.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from keras_unet.label_checks import Labels, check_count, check_labels


def grow_instances(labels: npt.ArrayLike, grow: int) -> Labels:
    """Give each background pixel near an object the id of the nearest one.

    Distances between pixel centres are rounded to whole pixels, so that 1 reaches all eight
    neighbours. Of equally near pixels those later in reading order win, the closer ones first: a
    separation border is cut where a pixel's *earlier* neighbours belong to another cell, hence the
    pixel's own cell lies behind it.

    Args:
        labels: (height, width) ids, 0 for background.
        grow: radius in pixels; 0 leaves the labels as they are.

    Returns:
        (height, width) int32 ids; object pixels are unchanged.

    Raises:
        ValueError: labels that are not ids, or a negative radius.
    """
    ids, radius = check_labels(labels, "labels"), check_count(grow, "grow")
    padded = np.pad(ids, radius)
    grown = padded.copy()
    empty = _background_within(ids, radius)
    for down, right in steps_by_distance(radius):
        nearest = padded.ravel()[empty + down * padded.shape[1] + right]
        grown.flat[empty] = nearest
        empty = empty[nearest == 0]
    return grown[radius : radius + ids.shape[0], radius : radius + ids.shape[1]].copy()


def _background_within(ids: Labels, radius: int) -> npt.NDArray[np.intp]:
    """Positions, in the flattened labels padded by `radius`, of background that growing may reach."""
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    reached = cv2.dilate((ids > 0).astype(np.uint8), square) > 0
    rows, columns = np.nonzero(reached & (ids == 0))
    positions = (rows + radius) * (ids.shape[1] + 2 * radius) + columns + radius
    return np.asarray(positions, dtype=np.intp)


def steps_by_distance(radius: int) -> list[tuple[int, int]]:
    """(down, right) steps of a disc without its centre, in the order in which an owner is sought."""

    def precedence(step: tuple[int, int]) -> tuple[int, bool, float, tuple[int, int]]:
        distance = math.hypot(*step)
        return round(distance), step < (0, 0), distance, step

    span = range(-radius, radius + 1)
    disc = [(y, x) for y in span for x in span if 0 < round(math.hypot(y, x)) <= radius]
    return sorted(disc, key=precedence)
