"""V_rand and V_info, the scores by which the EM challenge was judged afterwards, with their split and merge parts.

Both compare partitions of the truth's cell pixels. Where the result has background each pixel is an object of its
own; the truth's membrane does not count. Objects are 4-connected components; where they carry ids, cells that touch
stay different.

Reference: Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142 (2015), equations 3 and 6 with alpha = 0.5; what
they leave open (background of the result, stacks) follows the challenge's own program, Fiji's Trainable Segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class SplitMerge(NamedTuple):
    """Three scores in [0, 1], 1 is best: few cells split, few merged, and both together."""

    split: float
    merge: float
    f_score: float


class ScoreCurve(NamedTuple):
    """The scores of a stack at each threshold, in the order of the thresholds."""

    thresholds: tuple[float, ...]
    scores: tuple[SplitMerge, ...]

    @property
    def best(self) -> SplitMerge:
        """The scores at the best threshold."""
        return max(self.scores, key=lambda scores: scores.f_score)

    @property
    def best_threshold(self) -> float:
        """The threshold of the highest F-score, the first of several."""
        return self.thresholds[self.scores.index(self.best)]


class SharedSizes(NamedTuple):
    """Sizes in pixels within one slice's cells: of truth objects, result objects, and what each two of them share.

    Pixels where the result has background, objects of a single pixel each, are counted in `alone` instead.
    """

    truth: npt.NDArray[np.float64]
    result: npt.NDArray[np.float64]
    both: npt.NDArray[np.float64]
    alone: float


def v_rand(truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> ScoreCurve:
    """V_rand of a stack at each threshold, see `rand_scores`.

    Args:
        truth: (height, width) or (slices, height, width), integer or boolean; nonzero is cell.
        probability: the same shape, probability of *cell* in [0, 1].
        thresholds: a pixel is cell where its probability is greater.

    Returns:
        The curve; `best.f_score` is the challenge's V_rand without border thinning.

    Raises:
        ValueError: shapes that differ, a float truth, a truth without cells, probabilities outside
            [0, 1] or NaN, thresholds outside [0, 1].
    """
    return _curve(_rand, truth, probability, thresholds)


def v_info(truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> ScoreCurve:
    """V_info of a stack at each threshold, see `information_scores`.

    Args:
        truth: (height, width) or (slices, height, width), integer or boolean; nonzero is cell.
        probability: the same shape, probability of *cell* in [0, 1].
        thresholds: a pixel is cell where its probability is greater.

    Returns:
        The curve; `best.f_score` is the challenge's V_info without border thinning.

    Raises:
        ValueError: as for `v_rand`.
    """
    return _curve(_information, truth, probability, thresholds)


def rand_scores(truth: npt.ArrayLike, result: npt.ArrayLike) -> SplitMerge:
    """V_rand of one segmentation.

    Draw two cell pixels of a slice, a pixel with itself included. The split score is the probability that they share
    an object in the result if they do in the truth; the merge score is that of the truth if they do in the result;
    the F-score is their harmonic mean. Pairs are summed over slices before the scores are taken.

    Args:
        truth: (height, width) or (slices, height, width), a mask or ids, nonzero is cell.
        result: the same shape, a mask or ids.

    Raises:
        ValueError: shapes that differ, values that are not integers, or a truth without cells.
    """
    return _one_segmentation(_rand, truth, result)


def information_scores(truth: npt.ArrayLike, result: npt.ArrayLike) -> SplitMerge:
    """V_info of one segmentation.

    With H the entropy of a partition S (result) or T (truth) and I their mutual information, the split score is
    I / H(S), the merge score I / H(T), and the F-score 2 I / (H(S) + H(T)). Scores are averaged over the slices that
    have cells. Where an entropy is 0 nothing can be lost, and the score is 1: one cell found as one cell is perfect.

    Args:
        truth: (height, width) or (slices, height, width), a mask or ids, nonzero is cell.
        result: the same shape, a mask or ids.

    Raises:
        ValueError: as for `rand_scores`.
    """
    return _one_segmentation(_information, truth, result)


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


Score = Callable[[list[SharedSizes]], SplitMerge]


def _curve(score: Score, truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float]) -> ScoreCurve:
    labels, cell_probability = read_pair(truth, probability)
    check_has_cells(labels)
    limits = read_thresholds(thresholds)
    cells = [objects(one) for one in labels]
    results = ([connected_components(one) for one in cell_probability > limit] for limit in limits)
    return ScoreCurve(tuple(limits), tuple(score(_shared_sizes(cells, result)) for result in results))


def _one_segmentation(score: Score, truth: npt.ArrayLike, result: npt.ArrayLike) -> SplitMerge:
    labels, found = read_labels(truth, "truth"), read_labels(result, "result")
    check_same_shape(labels, found)
    check_has_cells(labels)
    return score(_shared_sizes([objects(one) for one in labels], [objects(one) for one in found]))


def _shared_sizes(truth: Sequence[LabelStack], result: Sequence[LabelStack]) -> list[SharedSizes]:
    return [_sizes_in_slice(*pair) for pair in zip(truth, result, strict=True)]


def _sizes_in_slice(truth: LabelStack, result: LabelStack) -> SharedSizes:
    table = contingency(truth, result)
    cell = table.truth > 0
    found = cell & (table.result > 0)
    return SharedSizes(
        np.asarray(np.bincount(table.truth[cell], weights=table.pixels[cell]), np.float64),
        np.asarray(np.bincount(table.result[found], weights=table.pixels[found]), np.float64),
        table.pixels[found].astype(np.float64),
        float(table.pixels[cell].sum() - table.pixels[found].sum()),
    )


def _rand(slices: list[SharedSizes]) -> SplitMerge:
    in_truth, in_result, in_both = np.sum([_count_pairs(sizes) for sizes in slices], axis=0).tolist()
    return SplitMerge(in_both / in_truth, in_both / in_result, 2 * in_both / (in_truth + in_result))


def _count_pairs(sizes: SharedSizes) -> tuple[float, float, float]:
    """Ordered pairs of cell pixels that share an object in the truth, in the result, in both."""
    truth, result, both = (float(np.square(one).sum()) for one in (sizes.truth, sizes.result, sizes.both))
    return truth, result + sizes.alone, both + sizes.alone


def _information(slices: list[SharedSizes]) -> SplitMerge:
    scores = [_information_in_slice(sizes) for sizes in slices if sizes.truth.any()]
    return SplitMerge(*np.mean(scores, axis=0).tolist())


def _information_in_slice(sizes: SharedSizes) -> SplitMerge:
    pixels = sizes.truth.sum()
    alone = sizes.alone / pixels * float(np.log(pixels))
    truth, result, both = (_entropy(one / pixels) for one in (sizes.truth, sizes.result, sizes.both))
    result, both = result + alone, both + alone
    # Rounding alone takes mutual information out of these bounds.
    shared = min(max(truth + result - both, 0.0), truth, result)
    return SplitMerge(_part(shared, result), _part(shared, truth), _part(2 * shared, truth + result))


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    """Entropy in nats of objects that hold these shares of all pixels."""
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _part(shared: float, whole: float) -> float:
    return shared / whole if whole > 0 else 1.0
