"""Border thinning: membranes become lines, one between any two cells."""

import numpy as np
import pytest
from helpers.drawings import draw
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from keras_unet.challenge import v_info, v_rand
from keras_unet.challenge.thinning import thin_membranes


@pytest.mark.parametrize(
    ("cells", "thinned"),
    [
        ("11...22 11...22", "111.222 111.222"),  # the floods meet in the middle
        ("11..22 11..22", "111.22 111.22"),  # the left one came first
        ("11.22", "11.22"),
        ("1.... .....", "11111 11111"),
        ("1..2 .... ....", "11.2 11.2 11.2"),
        ("1.2 ... 3.4", "1.2 ... 3.4"),
        (".... ....", "1111 1111"),
        ("11 11", "11 11"),
    ],
)
def test_membranes_are_thinned_to_lines(cells, thinned):
    found = thin_membranes(draw(cells) > 0)
    pairs = {(int(one), int(other)) for one, other in zip(found.ravel(), draw(thinned).ravel(), strict=True)}
    # The same partition: lines on lines, and one id for each.
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    assert all((one == 0) == (other == 0) for one, other in pairs)


@given(arrays(np.bool_, (11, 9), elements=st.sampled_from([True, False, False])))
def test_thinning_grows_each_cell_and_leaves_a_line_between_any_two(cells):
    cells[0, 0] = True
    before, thinned = ndimage.label(cells)[0], thin_membranes(cells)
    assert len({(int(a), int(b)) for a, b in zip(before[cells], thinned[cells], strict=True)}) == before.max()
    assert len(np.unique(thinned[thinned > 0])) == before.max() == ndimage.label(thinned)[1]
    for one, other in ((thinned[1:], thinned[:-1]), (thinned[:, 1:], thinned[:, :-1])):
        assert not ((one != other) & (one > 0) & (other > 0)).any()
    # A line has cells of two kinds beside it, or another line.
    for row, column in np.argwhere(thinned == 0):
        around = [thinned[y, x] for y, x in neighbours(row, column, thinned.shape)]
        assert 0 in around or len(set(around)) > 1


def neighbours(row, column, shape):
    places = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
    return [(y, x) for y, x in places if 0 <= y < shape[0] and 0 <= x < shape[1]]


def test_thinned_scores_do_not_mind_wide_membranes():
    truth = np.ones((9, 20), int)
    truth[:, 10] = 0
    probability = np.where(np.abs(np.arange(20) - 10) <= 3, 0.1, 0.9) * np.ones((9, 1))
    for score in (v_rand, v_info):
        assert score(truth, probability, [0.5]).best.f_score < 0.9
        assert score(truth, probability, [0.5], thinned=True).best == (1, 1, 1)
