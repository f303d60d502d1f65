"""Expanding labels between objects: gaps are closed, outer contours stay."""

import numpy as np
import pytest
from helpers.drawings import draw
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_unet.instances.expansion import expand_between
from keras_unet.losses.weight_maps import separation_border


def test_a_gap_goes_to_the_nearer_object_and_of_equally_near_ones_to_the_right_or_below():
    # That one owned it: a separation border is cut where a pixel's left or upper neighbour is another object.
    assert expand_between(draw("111.22 111.22 111.22"), 1).tolist() == draw("111222 111222 111222").tolist()
    assert expand_between(draw("333 ... 444"), 1).tolist() == draw("333 444 444").tolist()
    assert expand_between(draw("1..2 1..2"), 2).tolist() == draw("1122 1122").tolist()
    assert expand_between(draw("1...2"), 3).tolist() == draw("11222").tolist()


def test_corners_are_closed_along_diagonals():
    assert expand_between(draw("1.. ... ..2"), 2).tolist() == draw("1.. .2. ..2").tolist()
    assert expand_between(draw("..1 ... 2.."), 2).tolist() == draw("..1 .2. 2..").tolist()


def test_outer_contours_and_gaps_within_one_object_stay():
    drawn = draw("....... .11.22. .1...2. .11.22. .......")
    assert expand_between(drawn, 2).tolist() == draw("....... .11222. .1.2.2. .11222. .......").tolist()
    alone = draw("..... .7.7. ..... .777.")
    assert expand_between(alone, 3).tolist() == alone.tolist()


def test_wider_gaps_stay_and_along_columns_one_pixel_less_is_wide():
    for labels in (draw("1...2"), draw("1 . . 2"), draw("1... .... .... ...2")):
        assert expand_between(labels, 2).tolist() == labels.tolist()
    assert expand_between(draw("1 . . 2"), 3).tolist() == draw("1 1 2 2").tolist()
    assert expand_between(draw("1..2"), 0).tolist() == draw("1..2").tolist()


@given(arrays(np.int32, (9, 11), elements=st.sampled_from([0] * 9 + [1, 2, 3])), st.integers(0, 4))
def test_expanded_pixels_lie_in_a_narrow_gap_between_two_objects(labels, width):
    """Each pixel by itself, along each of the four lines, one step after the other."""
    expanded = expand_between(labels, width)
    assert (expanded[labels > 0] == labels[labels > 0]).all()
    gaps = {(0, 1): [0, 1, 2, 3, 4], (1, 0): [0, 1, 1, 2, 3], (1, 1): [0, 1, 1, 2, 2], (1, -1): [0, 1, 1, 2, 2]}
    padded = np.pad(labels, 5)
    for row, column in np.argwhere(labels == 0) + 5:
        choices = []
        for (down, right), widest in gaps.items():
            ends = []
            for sign in (1, -1):
                met = [
                    (steps, padded[row + sign * steps * down, column + sign * steps * right]) for steps in range(1, 6)
                ]
                ends += [one for one in met if one[1]][:1]
            if len(ends) == 2 and ends[0][1] != ends[1][1] and ends[0][0] + ends[1][0] - 1 <= widest[width]:
                steps, owner = min(ends, key=lambda end: end[0])
                choices.append((steps**2 * (down**2 + right**2), owner))
        expected = min(choices, key=lambda choice: choice[0])[1] if choices else 0
        assert expanded[row - 5, column - 5] == expected


@given(st.integers(0, 30))
def test_what_the_separation_border_took_is_given_back(seed):
    """Cells with straight sides in rows of one height come back whole, but for the image's corners of the border."""
    random = np.random.default_rng(seed)
    edges = np.cumsum(random.integers(4, 9, 6))
    labels = np.broadcast_to(np.searchsorted(edges, np.arange(edges[-1]), side="right") + 1, (12, edges[-1]))
    cut = separation_border(labels.astype(np.int32))
    assert np.count_nonzero(cut == 0) > 0
    assert (expand_between(cut, 2) == labels).all()


@pytest.mark.parametrize(("labels", "reach"), [(np.ones((2, 2)), 1), ([[1, 0]], -1), ([[1, 0]], 0.5), ([1, 0], 1)])
def test_bad_input_is_refused(labels, reach):
    with pytest.raises(ValueError, match="Expected"):
        expand_between(labels, reach)
