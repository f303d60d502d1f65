"""Rand error of the ISBI 2012 EM challenge: the foreground-restricted Rand F-score, pooled over the stack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.split_merge import (
    Slices,
    count_pairs,
    rand_of_pairs,
    sizes_by_threshold,
    sizes_in_slices,
)
from keras_unet.challenge.stacks import THRESHOLDS


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
    return 1 - max(_pooled_f_score(slices) for _, slices in sizes_by_threshold(truth, probability, thresholds))


def rand_f_score(truth: npt.ArrayLike, result: npt.ArrayLike) -> float:
    """Rand F-score of one segmentation, restricted to the truth's foreground.

    The F-score of the statement "these two pixels lie in one object" over all pairs of the truth's
    cell pixels in a slice, summed over the slices before the score is taken; of one slice it is
    the F-score of `rand_scores`, which says how pairs are counted and gives the two parts.

    Args:
        truth: (height, width) or (slices, height, width), a mask or ids, nonzero is cell.
        result: the same shape, a mask or ids.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        ValueError: shapes that differ, values that are not integers, or a truth without cells.
    """
    return _pooled_f_score(sizes_in_slices(truth, result))


def _pooled_f_score(slices: Slices) -> float:
    return rand_of_pairs(*np.sum([count_pairs(sizes) for sizes in slices], axis=0).tolist()).f_score
