"""Objects and their truth: overlaps, matches, and cells that touch."""

import numpy as np
import pytest
from helpers.drawings import draw
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_unet.instances.components import instances
from keras_unet.instances.matching import contingency, iou_matrix, match_instances, separated_pairs, touching_pairs
from keras_unet.visualization.result_panels import numbered_alike

small_labels = arrays(np.int32, (9, 7), elements=st.integers(0, 4))


@given(small_labels, small_labels)
def test_contingency_is_that_of_scikit_image(truth, result):
    metrics = pytest.importorskip("skimage.metrics")
    expected = metrics.contingency_table(truth, result).toarray()
    table = contingency(truth, result)
    assert {(i, j): expected[i, j] for i, j in np.argwhere(expected)} == {
        (i, j): pixels for i, j, pixels in zip(*table, strict=True)
    }


def test_iou_counts_shared_pixels_over_the_union():
    overlaps = iou_matrix(draw("1111 ..22"), draw("33.. .444"))
    pairs = {(i, j): value for i, j, value in zip(*overlaps, strict=True)}
    assert pairs == {(1, 3): 2 / 4, (2, 4): 2 / 3}


def test_half_an_overlap_is_no_match():
    truth = draw("1111 2222")
    assert match_instances(truth, draw("55.. 666.")) == {2: 6}
    assert match_instances(truth, draw("55.. 666."), iou=0.75) == {}


def test_match_needs_the_union_not_the_truth_alone():
    assert match_instances(draw("111..."), draw("777777")) == {}


@given(small_labels, small_labels)
def test_a_match_is_unique_on_both_sides(truth, result):
    matched = match_instances(truth, result)
    assert len(set(matched.values())) == len(matched)
    assert match_instances(result, truth) == {found: one for one, found in matched.items()}


def test_touching_counts_corners_but_not_gaps():
    labels = draw("11.4 .235 ..3.")
    assert touching_pairs(labels) == {(1, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 5)}
    assert touching_pairs(draw("1.2 1.2")) == set()


@given(small_labels)
def test_touching_pairs_are_those_of_every_pixel_with_its_neighbours(labels):
    expected = set()
    for row, column in np.argwhere(labels):
        window = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        expected |= {tuple(sorted((labels[row, column], other))) for other in window.ravel()}
    assert touching_pairs(labels) == {(low, high) for low, high in expected if 0 < low < high}


def test_pairs_are_separated_when_both_cells_are_matched():
    truth = draw("111222333 111222333")
    assert separated_pairs(truth, truth) == (2, 2)
    assert separated_pairs(truth, draw("777777999 777777999")) == (0, 2)
    assert separated_pairs(truth, draw("77.88.... 77.88....")) == (1, 2)
    assert separated_pairs(draw("1.2"), draw("1.2")) == (0, 0)


def test_two_thousand_objects_are_counted_cut_and_expanded_again():
    labels = np.zeros((2048, 2048), np.int32)
    side = 45
    for number in range(2025):
        row, column = number // side * side, number % side * side
        labels[row : row + side, column : column + side] = number + 1
    cut = labels.copy()
    cut[::side] = cut[:, ::side] = 0
    found = instances(cut > 0, min_size=100, expand=2)
    assert found.max() == 2025
    # The outermost lines were cut too, but lie between no two objects.
    assert (found[1 : side * side, 1 : side * side] > 0).all()
    assert not found[0].any()
    assert separated_pairs(labels, found) == (2 * 45 * 44 + 2 * 44 * 44,) * 2


@pytest.mark.parametrize("compare", [contingency, iou_matrix, match_instances, separated_pairs])
@pytest.mark.parametrize(
    ("truth", "result", "message"),
    [
        (np.ones((2, 2), int), np.ones((2, 3), int), r"one shape.*\(2, 2\) and \(2, 3\)"),
        (np.ones((2, 2)), np.ones((2, 2), int), "truth of integer ids.*float64"),
        (np.ones((2, 2), int), np.full((2, 2), -3), "result.*-3"),
        (np.full((2, 2), 2**31), np.ones((2, 2), int), "truth.*2147483648"),
    ],
)
def test_bad_labels_are_refused(compare, truth, result, message):
    with pytest.raises(ValueError, match=message):
        compare(truth, result)


def test_an_iou_below_one_half_is_refused():
    with pytest.raises(ValueError, match=r"\[0.5, 1\).*0.3"):
        match_instances(draw("1"), draw("1"), iou=0.3)


def test_results_take_the_numbers_of_the_cells_they_match() -> None:
    truth = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    found = np.array([[7, 7, 0, 4, 4, 4, 4, 4]])  # 4 merges cells 2 and 3 and matches neither
    assert numbered_alike(truth, found).tolist() == [[1, 1, 0, 7, 7, 7, 7, 7]]
