"""The Rand error of 2012: known answers and the counting of pairs."""

import numpy as np
import pytest
from helpers.challenge_rules import HALF_LOST, MERGED, TWO_CELLS, rand_by_pairs, two_cells
from hypothesis import given
from hypothesis.extra.numpy import arrays

from keras_unet.challenge import rand_error, rand_f_score


def test_rand_error_known_answers():
    assert rand_f_score(TWO_CELLS, MERGED) == pytest.approx(2 / 3)
    assert rand_f_score(TWO_CELLS, HALF_LOST) == pytest.approx(0.8148, abs=5e-5)
    assert rand_error(TWO_CELLS, MERGED) == pytest.approx(1 / 3)
    assert rand_error(TWO_CELLS, HALF_LOST) == pytest.approx(0.1852, abs=5e-5)


@given(arrays(np.bool_, (2, 6, 7)), arrays(np.bool_, (2, 6, 7)))
def test_rand_f_score_is_that_of_counting_pairs(truth, result):
    truth[0, 0, 0] = True
    assert rand_f_score(truth, result) == pytest.approx(rand_by_pairs(truth, result))


def test_pairs_are_summed_over_slices_before_the_score():
    truth = np.array([[[1, 1, 0, 1, 1]], [[1, 1, 1, 1, 1]]])
    # Pairs: 8 in the first slice's truth, 16 in its merged result, 8 in both; 25 each in the second.
    assert rand_f_score(truth, np.ones_like(truth)) == pytest.approx(2 * (8 + 25) / (8 + 25 + 16 + 25))


def test_cells_that_touch_stay_different_by_their_ids():
    touching = np.array([[1, 1, 2, 2]])
    assert rand_f_score(touching, touching) == 1
    assert rand_f_score(touching, touching > 0) == pytest.approx(2 * 8 / (8 + 16))
    assert rand_f_score(touching * 255, touching) == 1


def test_rand_error_takes_the_best_threshold():
    truth = two_cells()
    probability = np.where(truth, 0.85, 0.45)
    assert rand_error(truth, probability) == 0
    assert rand_error(truth, probability, [0.4]) == rand_error(truth, np.ones((7, 7)))


def test_rand_pairs_of_many_pixels_do_not_overflow():
    truth = np.ones((1, 300, 400), np.uint8)
    assert rand_error(truth, truth) == 0
    assert rand_f_score(truth, np.zeros_like(truth)) == pytest.approx(2 / (120_000 + 1))
