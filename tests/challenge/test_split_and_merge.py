"""V_rand and V_info, the split and merge scores: known answers, and those of scikit-image."""

import numpy as np
import pytest
from helpers.challenge_rules import HALF_LOST, MERGED, TWO_CELLS, two_cells
from hypothesis import given
from hypothesis.extra.numpy import arrays
from scipy import ndimage, stats

from keras_unet.challenge import information_scores, rand_error, rand_f_score, rand_scores, v_info, v_rand

# Cell sizes 4 and 4; HALF_LOST leaves 2 and 4 pixels and two alone, so that H(T) = ln 2 and H(S) = 7/4 ln 2 = H(S, T).
# THREE_CELLS has 2, 2 and 4 pixels (H = 3/2 ln 2), of which TWO_MERGED takes the first two for one (H = ln 2).
THREE_CELLS = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 3, 3]])
TWO_MERGED = np.array([[1, 1, 1, 1, 1, 0, 2, 2, 2, 2]])

# The cell cut has 5 and 4 pixels (CUT[0]), found as 2, 2 and 4 and one alone (CUT[1]).
CUT = stats.entropy([5, 4]), stats.entropy([2, 2, 4, 1])

KNOWN_SCORES = {
    "all merged": (TWO_CELLS, MERGED, (1, 32 / 64, 2 / 3), (1, 0, 0)),
    "pixels lost": (TWO_CELLS, HALF_LOST, (22 / 32, 1, 44 / 54), (4 / 7, 1, 8 / 11)),
    "two of three merged": (THREE_CELLS, TWO_MERGED, (1, 24 / 32, 48 / 56), (1, 2 / 3, 4 / 5)),
    "cell cut": (TWO_MERGED, THREE_CELLS, (25 / 41, 1, 50 / 66), (CUT[0] / CUT[1], 1, 2 * CUT[0] / sum(CUT))),
    "all lost": (TWO_CELLS, np.zeros((2, 5), int), (8 / 32, 1, 16 / 40), (1 / 3, 1, 1 / 2)),
    "perfect": (TWO_CELLS, TWO_CELLS, (1, 1, 1), (1, 1, 1)),
    "one cell found as one": (MERGED, MERGED, (1, 1, 1), (1, 1, 1)),
    "one cell in two": (np.ones((1, 4), int), np.array([[1, 1, 2, 2]]), (8 / 16, 1, 16 / 24), (0, 1, 0)),
}


@pytest.mark.parametrize(("truth", "result", "rand", "information"), KNOWN_SCORES.values(), ids=list(KNOWN_SCORES))
def test_split_and_merge_scores_known_answers(truth, result, rand, information):
    assert rand_scores(truth, result) == pytest.approx(rand)
    assert information_scores(truth, result) == pytest.approx(information)


def alone_where_empty(truth, result):
    """Components of the result with a number for each empty pixel, as scikit-image has to be told."""
    found = ndimage.label(result)[0]
    found[found == 0] = found.max() + 1 + np.arange(np.count_nonzero(found == 0))
    return ndimage.label(truth)[0], found


@given(arrays(np.bool_, (6, 7)), arrays(np.bool_, (6, 7)))
def test_rand_scores_without_pairs_of_a_pixel_with_itself_are_those_of_scikit_image(truth, result):
    metrics = pytest.importorskip("skimage.metrics")
    truth[0, :2] = True  # at least one pair
    scores = rand_scores(truth, result)
    cells, found = alone_where_empty(truth, result)
    in_truth, itself = np.square(np.bincount(cells[truth])).sum(), truth.sum()
    in_both = scores.split * in_truth
    in_result = in_both / scores.merge
    with np.errstate(invalid="ignore", divide="ignore"):
        error, split, merge = metrics.adapted_rand_error(cells, found)
    assert (in_both - itself) / (in_truth - itself) == pytest.approx(split)
    assert 2 * (in_both - itself) / (in_truth + in_result - 2 * itself) == pytest.approx(1 - error, abs=1e-12)
    if in_result - itself > 0.5:
        assert (in_both - itself) / (in_result - itself) == pytest.approx(merge, abs=1e-12)


@given(arrays(np.bool_, (6, 7)), arrays(np.bool_, (6, 7)))
def test_information_scores_follow_from_the_conditional_entropies_of_scikit_image(truth, result):
    metrics = pytest.importorskip("skimage.metrics")
    truth[0, :3] = [True, False, True]
    truth[1, 1] = False
    cells, found = alone_where_empty(truth, result)
    too_many, too_few = metrics.variation_of_information(cells, found, ignore_labels=[0])  # H(S|T), H(T|S) in bits
    of_truth = stats.entropy(np.bincount(cells[truth]), base=2)
    of_result = stats.entropy(np.bincount(found[truth]), base=2)
    assert of_truth - too_few == pytest.approx(of_result - too_many, abs=1e-9)
    scores = information_scores(truth, result)
    assert scores.split * of_result == pytest.approx(of_result - too_many, abs=1e-9)
    assert scores.merge * of_truth == pytest.approx(of_truth - too_few, abs=1e-9)
    assert scores.f_score * (of_truth + of_result) == pytest.approx(of_truth + of_result - too_many - too_few, abs=1e-9)


@given(arrays(np.bool_, (2, 6, 7)), arrays(np.bool_, (2, 6, 7)))
def test_scores_lie_between_zero_and_one(truth, result):
    truth[0, 0, 0] = True
    for scores in (rand_scores(truth, result), information_scores(truth, result)):
        assert all(0 <= score <= 1 for score in scores)


def test_scores_are_averaged_over_slices_that_have_cells():
    truth = np.stack([TWO_CELLS, TWO_CELLS, np.zeros((2, 5), int)])
    result = np.stack([MERGED, HALF_LOST, MERGED])
    rand = ((1 + 22 / 32) / 2, (1 / 2 + 1) / 2, (2 / 3 + 44 / 54) / 2)
    information = ((1 + 4 / 7) / 2, (0 + 1) / 2, (0 + 8 / 11) / 2)
    assert rand_scores(truth, result) == pytest.approx(rand)
    assert information_scores(truth, result) == pytest.approx(information)
    # The Rand error of 2012 adds up pairs instead: 32 + 22 in both, 32 + 32 in the truth, 64 + 22 in the result.
    assert rand_f_score(truth, result) == pytest.approx(2 * 54 / (64 + 86))


@pytest.mark.parametrize("curve_of", [v_rand, v_info])
def test_a_curve_has_the_scores_of_each_threshold_and_names_the_best(curve_of):
    truth = two_cells()
    probability = np.where(truth, 0.85, 0.45)
    probability[:, 1] = 0.65  # cut off from 0.7 on, merged below 0.5
    scores_of = {v_rand: rand_scores, v_info: information_scores}[curve_of]
    curve = curve_of(truth, probability, [0.4, 0.5, 0.6, 0.8])
    assert curve.thresholds == (0.4, 0.5, 0.6, 0.8)
    assert curve.scores == tuple(scores_of(truth, (probability > limit).astype(int)) for limit in curve.thresholds)
    assert curve.best == (1, 1, 1)
    assert curve.best_threshold == 0.5
    assert curve_of(truth, probability).best_threshold == 0.5


def test_rand_error_of_one_slice_is_what_v_rand_lacks():
    random = np.random.default_rng(5)
    truth, probability = random.random((12, 13)) > 0.3, random.random((12, 13))
    assert rand_error(truth, probability) == pytest.approx(1 - v_rand(truth, probability).best.f_score)
