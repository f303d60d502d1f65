"""From foreground probabilities to objects told apart, and how well they match a truth.

Plain arrays throughout: (height, width), integer ids, 0 for background.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int32]

LARGEST_ID = 2**24 - 1


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
    _check_plane(foreground, "a mask")
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
    _check_plane(classes, "classes")
    ids = np.zeros(classes.shape, np.int32)
    for value in np.unique(classes[classes > 0]):
        parts = connected_components(classes == value)
        ids = np.where(parts > 0, parts + ids.max(), ids)
    return ids


def instances(probability: npt.ArrayLike, threshold: float = 0.5, min_size: int = 0, grow: int = 0) -> Labels:
    """Tell objects apart: threshold, 4-connected components, no small ones, grown back.

    Args:
        probability: (height, width) probability of foreground in [0, 1].
        threshold: a pixel is foreground where its probability is greater.
        min_size: smallest area in pixels of an object that is kept, measured before growing.
        grow: radius in pixels by which objects are grown into the background without merging, see
            `grow_instances`; 1 gives back what a separation border of one pixel took.

    Returns:
        (height, width) int32 ids from 1 without gaps, 0 for background; the largest is the count.

    Raises:
        ValueError: a wrong rank, probabilities outside [0, 1] or NaN, a threshold outside [0, 1],
            or a negative size.
    """
    foreground = check_probability(probability) > check_threshold(threshold)
    labels = connected_components(foreground)
    return grow_instances(_drop_small(labels, _check_count(min_size, "min_size")), grow)


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
    ids, radius = check_labels(labels, "labels"), _check_count(grow, "grow")
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


def _drop_small(labels: Labels, min_size: int) -> Labels:
    keep = np.bincount(labels.ravel()) >= min_size
    keep[0] = False
    renumbered = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return renumbered[labels]


class Contingency(NamedTuple):
    """Pixels shared by each pair of ids that meet, background included, in coordinate form.

    Three arrays of one length, one entry for each pair; pairs are sorted by truth, then result.
    """

    truth: npt.NDArray[np.int64]
    result: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]


def contingency(truth: npt.ArrayLike, result: npt.ArrayLike) -> Contingency:
    """Count the pixels of every pair of a truth id and a result id that meet.

    Args:
        truth: (height, width) ids, 0 for background.
        result: the same shape.

    Raises:
        ValueError: shapes that differ or labels that are not ids.
    """
    truth_labels, result_labels = check_labels(truth, "truth"), check_labels(result, "result")
    check_same_shape(truth_labels, result_labels)
    columns = int(result_labels.max()) + 1
    keys = truth_labels.ravel().astype(np.int64) * columns + result_labels.ravel()
    # Ids come in runs along a row: sorting the runs is many times cheaper than sorting the pixels.
    starts = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])
    lengths = np.diff(starts, append=keys.size)
    pairs, which = np.unique(keys[starts], return_inverse=True)
    pixels = np.bincount(which, weights=lengths).astype(np.int64)
    return Contingency(pairs // columns, pairs % columns, pixels)


class Overlaps(NamedTuple):
    """Intersection over union of each pair of objects that meet, in coordinate form."""

    truth: npt.NDArray[np.int64]
    result: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]


def iou_matrix(truth: npt.ArrayLike, result: npt.ArrayLike) -> Overlaps:
    """Intersection over union of every pair of objects that share a pixel; background is no object.

    Args:
        truth: (height, width) ids, 0 for background.
        result: the same shape.

    Raises:
        ValueError: shapes that differ or labels that are not ids.
    """
    table = contingency(truth, result)
    truth_sizes = np.bincount(table.truth, weights=table.pixels)
    result_sizes = np.bincount(table.result, weights=table.pixels)
    union = truth_sizes[table.truth] + result_sizes[table.result] - table.pixels
    objects = (table.truth > 0) & (table.result > 0)
    return Overlaps(table.truth[objects], table.result[objects], (table.pixels / union)[objects])


def match_instances(truth: npt.ArrayLike, result: npt.ArrayLike, iou: float = 0.5) -> dict[int, int]:
    """Match each truth object to the result object that covers it with an IoU above `iou`.

    Args:
        truth: (height, width) ids, 0 for background.
        result: the same shape.
        iou: a number in [0.5, 1); from one half on a match is unique on both sides.

    Returns:
        Truth id -> result id, for the matched objects alone.

    Raises:
        ValueError: shapes that differ, labels that are not ids, or `iou` out of its range.
    """
    if not 0.5 <= iou < 1:
        raise ValueError(f"Expected iou in [0.5, 1), where a match is unique. Received {iou}.")
    overlaps = iou_matrix(truth, result)
    matched = overlaps.iou > iou
    return dict(zip(overlaps.truth[matched].tolist(), overlaps.result[matched].tolist(), strict=True))


def touching_pairs(labels: npt.ArrayLike) -> set[tuple[int, int]]:
    """Pairs (smaller id, larger id) of different objects with 8-neighbouring pixels.

    Args:
        labels: (height, width) ids, 0 for background.

    Raises:
        ValueError: labels that are not ids.
    """
    ids = check_labels(labels, "labels")
    neighbours = (
        (ids[:, :-1], ids[:, 1:]),
        (ids[:-1], ids[1:]),
        (ids[:-1, :-1], ids[1:, 1:]),
        (ids[:-1, 1:], ids[1:, :-1]),
    )
    pairs = np.concatenate([_different_objects(one, other) for one, other in neighbours])
    return {(int(low), int(high)) for low, high in np.unique(np.sort(pairs, axis=1), axis=0)}


def _different_objects(one: Labels, other: Labels) -> Labels:
    differ = (one != other) & (one > 0) & (other > 0)
    return np.stack([one[differ], other[differ]], axis=1)


def separated_pairs(truth: npt.ArrayLike, result: npt.ArrayLike) -> tuple[int, int]:
    """Count the touching pairs of the truth that a result tells apart.

    A pair is told apart where both cells are matched (IoU > 0.5), which makes the matches different.

    Args:
        truth: (height, width) ids as drawn, before any border between cells is cut.
        result: the same shape.

    Returns:
        (pairs told apart, touching pairs in the truth).

    Raises:
        ValueError: shapes that differ or labels that are not ids.
    """
    matched = match_instances(truth, result)
    pairs = touching_pairs(truth)
    return sum(one in matched and other in matched for one, other in pairs), len(pairs)


def check_labels(labels: npt.ArrayLike, name: str) -> Labels:
    """Read (height, width) ids as int32.

    Raises:
        ValueError: not integers or booleans, a wrong rank, no pixels, or ids below 0 or too large.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "biu":
        raise ValueError(f"Expected {name} of integer ids, 0 for background. Received {array.dtype}.")
    _check_plane(array, name)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > LARGEST_ID:
        wrong = low if low < 0 else high
        raise ValueError(f"Expected the ids of {name} in 0 to {LARGEST_ID}. Received id {wrong}.")
    return array.astype(np.int32, copy=False)


def check_same_shape(truth: npt.NDArray[np.generic], result: npt.NDArray[np.generic]) -> None:
    """Raise a ValueError unless truth and result have one shape."""
    if truth.shape != result.shape:
        raise ValueError(f"Expected truth and result of one shape. Received {truth.shape} and {result.shape}.")


def _check_plane(array: npt.NDArray[np.generic], name: str) -> None:
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"Expected {name} of shape (height, width), not empty. Received {array.shape}.")


def check_probability(probability: npt.ArrayLike) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
    """Read probabilities of any shape as float32, or float64 where they are float64.

    Raises:
        ValueError: not numbers, NaN, or values outside [0, 1].
    """
    array = np.asarray(probability)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Expected probabilities as real numbers. Received {array.dtype}.")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"Expected probabilities in [0, 1] without NaN. Received values from {array.min()} to {array.max()}."
        )
    return array if array.dtype == np.float64 else array.astype(np.float32, copy=False)


def check_threshold(threshold: float) -> float:
    """Read a threshold.

    Raises:
        ValueError: outside [0, 1] or NaN.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"Expected a threshold in [0, 1]. Received {threshold}.")
    return float(threshold)


def _check_count(value: int, name: str) -> int:
    if value != int(value) or value < 0:
        raise ValueError(f"Expected {name} as a whole number of pixels from 0 on. Received {value}.")
    return int(value)
