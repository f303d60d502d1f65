"""Pixel error of the ISBI 2012 EM challenge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.stacks import THRESHOLDS, check_has_cells, read_pair, read_thresholds


def pixel_error(truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> float:
    """One minus the best F1 score of cell pixels, pooled over the stack.

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
    cells = labels > 0
    return 1 - max(_f1_score(cells, cell_probability > limit) for limit in read_thresholds(thresholds))


def _f1_score(truth: npt.NDArray[np.bool_], result: npt.NDArray[np.bool_]) -> float:
    both = np.count_nonzero(truth & result)
    return 2 * both / (np.count_nonzero(truth) + np.count_nonzero(result))
