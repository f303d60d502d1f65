"""Rand error of the ISBI 2012 EM challenge: the foreground-restricted Rand F-score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.stacks import (
    THRESHOLDS,
    LabelStack,
    check_has_cells,
    read_labels,
    read_pair,
    read_thresholds,
)
from keras_unet.instances import Labels, check_same_shape, connected_components, contingency


def rand_error(truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> float:
    """One minus the best Rand F-score over the thresholds, see `rand_f_score`.

    Args:
        truth: (height, width) or (slices, height, width), integer or boolean; nonzero is cell.
        probability: the same shape, probability of *cell* in [0, 1].
        thresholds: a pixel is cell where its probability is greater; the best threshold counts.

    Returns:
        A number in [0, 1], 0 is best.

    Raises:
        ValueError: shapes that differ, a float truth, a truth without cells, probabilities outside
            [0, 1] or NaN, thresholds outside [0, 1].

    Reference: Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142 (2015).
    """
    labels, cell_probability = read_pair(truth, probability)
    check_has_cells(labels)
    cells = [objects(one) for one in labels]
    limits = read_thresholds(thresholds)
    return 1 - max(_f_score(cells, map(connected_components, cell_probability > limit)) for limit in limits)


def rand_f_score(truth: npt.ArrayLike, result: npt.ArrayLike) -> float:
    """Rand F-score of one segmentation, restricted to the truth's foreground.

    The F-score of the statement "these two pixels lie in one object" over all pairs of the truth's
    cell pixels in a slice, a pixel paired with itself included. Where the result has background,
    each pixel is an object of its own. Pairs are summed over slices before the score is taken.
    Objects are 4-connected components; where they carry ids, cells that touch stay different.

    Args:
        truth: (height, width) or (slices, height, width), a mask or ids, nonzero is cell.
        result: the same shape, a mask or ids.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        ValueError: shapes that differ, values that are not integers, or a truth without cells.
    """
    labels, found = read_labels(truth, "truth"), read_labels(result, "result")
    check_same_shape(labels, found)
    check_has_cells(labels)
    return _f_score([objects(one) for one in labels], map(objects, found))


def objects(labels: Labels) -> Labels:
    """4-connected components of (height, width) labels, parted further where their ids differ."""
    components = connected_components(labels)
    inside = labels > 0
    ids = labels[inside]
    if ids.size == 0 or ids.min() == ids.max():
        return components
    keys = components[inside].astype(np.int64) * (int(ids.max()) + 1) + ids
    components[inside] = np.unique(keys, return_inverse=True)[1] + 1
    return components


def _f_score(truth: Sequence[Labels], result: Iterable[Labels]) -> float:
    pairs = [_count_pairs(cells, found) for cells, found in zip(truth, result, strict=True)]
    in_truth, in_result, in_both = np.sum(pairs, axis=0)
    return float(2 * in_both / (in_truth + in_result))


def _count_pairs(truth: LabelStack, result: LabelStack) -> tuple[float, float, float]:
    """Ordered pairs of truth foreground pixels that share an object in the truth, the result, both."""
    table = contingency(truth, result)
    foreground, found = table.truth > 0, (table.truth > 0) & (table.result > 0)
    # Pairs of a pixel with itself are all that background of the result has: it is no object.
    alone = table.pixels[foreground].sum() - table.pixels[found].sum()
    return (
        _sum_of_squares(table.truth[foreground], table.pixels[foreground]),
        _sum_of_squares(table.result[found], table.pixels[found]) + alone,
        float(np.square(table.pixels[found].astype(np.float64)).sum()) + alone,
    )


def _sum_of_squares(ids: npt.NDArray[np.int64], pixels: npt.NDArray[np.int64]) -> float:
    return float(np.square(np.bincount(ids, weights=pixels)).sum())
