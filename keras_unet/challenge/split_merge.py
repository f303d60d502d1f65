"""V_rand and V_info, the scores by which the EM challenge was judged afterwards, with their split and merge parts.

Both compare partitions of the truth's cell pixels. Where the result has background each pixel is an object of its
own; the truth's membrane does not count. Objects are 4-connected components; where they carry ids, cells that touch
stay different. Scores of a stack are averaged over the slices that have cells.

Reference: Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142 (2015), equations 3 and 6 with alpha = 0.5; what
they leave open (background of the result, stacks) follows the challenge's own program, Fiji's Trainable Segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.stacks import THRESHOLDS, check_has_cells, read_labels, read_pair, read_thresholds
from keras_unet.challenge.thinning import thin_membranes
from keras_unet.instances.components import connected_components
from keras_unet.instances.label_checks import Labels, check_same_shape
from keras_unet.instances.matching import contingency


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


def v_rand(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    thinned: bool = False,
) -> ScoreCurve:
    """V_rand of a stack at each threshold, see `rand_scores`.

    Args:
        truth: (height, width) or (slices, height, width), integer or boolean; nonzero is cell.
        probability: the same shape, probability of *cell* in [0, 1].
        thresholds: a pixel is cell where its probability is greater.
        thinned: thin the result's membranes to lines first, as the challenge's final ranking does; takes about 40 ms
            for each slice of 512 x 512 and threshold.

    Returns:
        The curve; `best.f_score` is the challenge's score.

    Raises:
        ValueError: shapes that differ, a float truth, a truth without cells, probabilities outside
            [0, 1] or NaN, thresholds outside [0, 1].
    """
    return _curve(_rand, truth, probability, thresholds, thinned)


def v_info(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    thinned: bool = False,
) -> ScoreCurve:
    """V_info of a stack at each threshold, see `information_scores`; arguments, result and errors as for `v_rand`."""
    return _curve(_information, truth, probability, thresholds, thinned)


def rand_scores(truth: npt.ArrayLike, result: npt.ArrayLike) -> SplitMerge:
    """V_rand of one segmentation.

    Draw two cell pixels of a slice, a pixel with itself included. The split score is the probability that they share
    an object in the result if they do in the truth; the merge score is that of the truth if they do in the result;
    the F-score is their harmonic mean.

    Args:
        truth: (height, width) or (slices, height, width), a mask or ids, nonzero is cell.
        result: the same shape, a mask or ids.

    Raises:
        ValueError: shapes that differ, values that are not integers, or a truth without cells.
    """
    return _mean(_rand, sizes_in_slices(truth, result))


def information_scores(truth: npt.ArrayLike, result: npt.ArrayLike) -> SplitMerge:
    """V_info of one segmentation.

    With H the entropy of a partition S (result) or T (truth) and I their mutual information, the split score is
    I / H(S), the merge score I / H(T), and the F-score 2 I / (H(S) + H(T)). Where an entropy is 0 nothing can be
    lost, and the score is 1: one cell found as one cell is perfect.

    Args:
        truth: (height, width) or (slices, height, width), a mask or ids, nonzero is cell.
        result: the same shape, a mask or ids.

    Raises:
        ValueError: as for `rand_scores`.
    """
    return _mean(_information, sizes_in_slices(truth, result))


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


Score = Callable[[SharedSizes], SplitMerge]
Slices = Iterable[SharedSizes]


def sizes_by_threshold(
    truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float], thinned: bool = False
) -> Iterator[tuple[float, Slices]]:
    """Each threshold with the sizes of objects in the slices, those without cells left out; arguments as `v_rand`."""
    labels, cell_probability = read_pair(truth, probability)
    check_has_cells(labels)
    cells = [objects(one) for one in labels]
    find = thin_membranes if thinned else connected_components
    for limit in read_thresholds(thresholds):
        yield limit, _sizes(cells, map(find, cell_probability > limit))


def sizes_in_slices(truth: npt.ArrayLike, result: npt.ArrayLike) -> Slices:
    """Sizes of objects in the slices, those without cells left out; arguments as for `rand_scores`."""
    labels, found = read_labels(truth, "truth"), read_labels(result, "result")
    check_same_shape(labels, found)
    check_has_cells(labels)
    return _sizes(map(objects, labels), map(objects, found))


def count_pairs(sizes: SharedSizes) -> tuple[float, float, float]:
    """Ordered pairs of cell pixels that share an object in the truth, in the result, in both."""
    truth, result, both = (float(np.square(one).sum()) for one in (sizes.truth, sizes.result, sizes.both))
    return truth, result + sizes.alone, both + sizes.alone


def rand_of_pairs(in_truth: float, in_result: float, in_both: float) -> SplitMerge:
    """Rand scores from numbers of pairs."""
    return SplitMerge(in_both / in_truth, in_both / in_result, 2 * in_both / (in_truth + in_result))


def _curve(
    score: Score, truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: Sequence[float], thinned: bool
) -> ScoreCurve:
    stacks = sizes_by_threshold(truth, probability, thresholds, thinned)
    limits, scores = zip(*((limit, _mean(score, slices)) for limit, slices in stacks), strict=True)
    return ScoreCurve(limits, scores)


def _mean(score: Score, slices: Slices) -> SplitMerge:
    return SplitMerge(*np.mean([score(sizes) for sizes in slices], axis=0).tolist())


def _sizes(truth: Iterable[Labels], result: Iterable[Labels]) -> Slices:
    return (_sizes_in_slice(cells, found) for cells, found in zip(truth, result, strict=True) if cells.any())


def _sizes_in_slice(truth: Labels, result: Labels) -> SharedSizes:
    table = contingency(truth, result)
    cell = table.truth > 0
    found = cell & (table.result > 0)
    return SharedSizes(
        np.asarray(np.bincount(table.truth[cell], weights=table.pixels[cell]), np.float64),
        np.asarray(np.bincount(table.result[found], weights=table.pixels[found]), np.float64),
        table.pixels[found].astype(np.float64),
        float(table.pixels[cell].sum() - table.pixels[found].sum()),
    )


def _rand(sizes: SharedSizes) -> SplitMerge:
    return rand_of_pairs(*count_pairs(sizes))


def _information(sizes: SharedSizes) -> SplitMerge:
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
