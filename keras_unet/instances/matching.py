"""How objects of a result overlap those of a truth, and which of them match.

Plain arrays throughout: (height, width), integer ids, 0 for background.
"""

from __future__ import annotations

from numbers import Real
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_unet.instances.label_checks import Labels, check_labels, check_same_shape


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
    if not (isinstance(iou, Real) and 0.5 <= iou < 1):
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
