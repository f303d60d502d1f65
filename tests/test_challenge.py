"""The challenges' metrics against their known answers and plain re-statements of their rules."""

import re
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage, stats

from keras_unet.challenge import (
    det_measure,
    det_of_sequence,
    detection_errors,
    information_scores,
    object_jaccards,
    pixel_error,
    rand_error,
    rand_f_score,
    rand_scores,
    seg_measure,
    seg_of_sequence,
    v_info,
    v_rand,
    warping_error,
)
from keras_unet.challenge.thinning import thin_membranes
from keras_unet.challenge.warping import RING, SIMPLE, topology_errors, warp

EIGHT = np.ones((3, 3), int)


# Warping error


def two_cells(membrane=3):
    cells = np.ones((7, 7), int)
    cells[:, membrane] = 0
    return cells


def with_pixels(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


def square(low, high, size):
    return with_pixels(np.zeros((size, size), int), (slice(low, high), slice(low, high)), 1)


KNOWN_WARPINGS = {
    "one membrane pixel filled": (two_cells(), with_pixels(two_cells(), (3, 3), 1), 1, 1, 1),
    "whole membrane filled": (two_cells(), np.ones((7, 7), int), 7, 7, 7),
    "membrane moved by one": (two_cells(), two_cells(4), 0, 0, 14),
    "membrane moved by two": (two_cells(), two_cells(5), 8, 8, 14),
    "object added": (np.zeros((5, 5), int), square(2, 3, 5), 1, 0, 1),
    "hole added": (np.ones((5, 5), int), 1 - square(2, 3, 5), 1, 0, 1),
    "cell cut": (np.ones((3, 7), int), with_pixels(np.ones((3, 7), int), (slice(None), 3), 0), 1, 1, 3),
    "object dilated": (square(2, 7, 9), square(1, 8, 9), 0, 0, 24),
}


@pytest.mark.parametrize(
    ("truth", "result", "classic", "errors", "pixels"), KNOWN_WARPINGS.values(), ids=list(KNOWN_WARPINGS)
)
def test_warping_error_known_answers(truth, result, classic, errors, pixels):
    assert np.count_nonzero(truth != result) == pixels
    assert warping_error(truth, result, classic=True) * truth.size == pytest.approx(classic)
    assert warping_error(truth, result) * truth.size == pytest.approx(errors)


def components_at(ring, places, structure):
    """Components of a ring's pixels, centre left out, that hold one of the places."""
    patch = np.zeros((3, 3), int)
    for bit, (down, right) in zip(ring, RING, strict=True):
        patch[1 + down, 1 + right] = bit
    labels, _ = ndimage.label(patch, structure)
    return len({labels[1 + RING[place][0], 1 + RING[place][1]] for place in places} - {0})


def test_simple_points_are_those_of_the_topological_numbers():
    for code in range(256):
        ring = [code >> place & 1 for place in range(8)]
        cells = components_at(ring, range(0, 8, 2), None)
        membranes = components_at([1 - bit for bit in ring], range(8), EIGHT)
        assert bool(SIMPLE[code]) == (cells == 1 and membranes == 1)
    assert sum(SIMPLE) == 116


def ring_code(image, row, column):
    return sum(int(image[row + down, column + right]) << place for place, (down, right) in enumerate(RING))


def warp_by_full_passes(truth, probability, threshold):
    image, target = np.pad(truth, 1), np.pad(probability > threshold, 1)
    distance = np.pad(np.abs(probability - threshold).astype(np.float32), 1)
    while True:
        before = image.copy()
        mismatches = [
            (r, c) for c, r in product(range(image.shape[1]), range(image.shape[0])) if image[r, c] != target[r, c]
        ]
        for row, column in sorted(mismatches, key=lambda place: -distance[place]):
            if SIMPLE[ring_code(image, row, column)]:
                image[row, column] ^= True
        if (image == before).all():
            return image, mismatches


def kind_of_error(image, row, column):
    def values_around(labels):
        return {int(labels[row + down, column + right]) for down, right in RING}

    around = values_around(ndimage.label(image)[0])
    if len(around) == 2 and image[row, column]:
        window = np.zeros_like(image)
        near = (slice(max(row - 20, 0), row + 21), slice(max(column - 20, 0), column + 21))
        window[near] = image[near]
        window[row, column] = False
        return "split" if len(values_around(ndimage.label(window)[0])) > 2 else "hole"
    if len(around) < 3:
        return "object or hole"
    return "split" if image[row, column] else "merger"


def assert_follows_the_rules(truth, probability, threshold):
    image, mismatches = warp_by_full_passes(truth, probability, threshold)
    kinds = [kind_of_error(image, *place) for place in mismatches]
    warped, _ = warp(truth, probability, threshold)
    assert (warped == image).all()
    assert topology_errors(truth, probability, threshold) == (
        len(mismatches),
        kinds.count("split"),
        kinds.count("merger"),
    )


few_levels = arrays(np.float64, (11, 9), elements=st.sampled_from([0, 0.125, 0.375, 0.5, 0.625, 0.875, 1]))


@given(arrays(np.bool_, (11, 9)), few_levels, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
@settings(deadline=None)
def test_warping_gives_what_full_passes_in_order_give(truth, probability, threshold):
    assert_follows_the_rules(truth, probability, threshold)


@pytest.mark.parametrize("seed", range(4))
def test_warping_of_large_shapes_gives_what_full_passes_give(seed):
    random = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(random.normal(size=(70, 60)), 2) > -0.02
    noise = ndimage.gaussian_filter(random.normal(size=truth.shape), 1.5)
    probability = np.clip(0.5 + 0.25 * (truth - 0.5) + 2 * noise, 0, 1)
    assert topology_errors(truth, probability, 0.5).splits > 0
    for threshold in (0.3, 0.5, 0.7):
        assert_follows_the_rules(truth, probability, threshold)


@given(arrays(np.bool_, (11, 9)), few_levels)
@settings(deadline=None)
def test_warping_keeps_the_number_of_cells_and_of_membranes(truth, probability):
    warped, _ = warp(truth, probability, 0.5)
    before = np.pad(truth, 1)
    assert ndimage.label(warped)[1] == ndimage.label(before)[1]
    assert ndimage.label(~warped, EIGHT)[1] == ndimage.label(~before, EIGHT)[1]


def test_a_loop_is_opened_within_the_radius_but_split_beyond_it():
    # Taking a pixel from a ring-shaped cell opens the ring; parts that meet only far away count as split.
    def ring(half_side):
        size = 2 * half_side + 3
        return square(1, size - 1, size) - square(2, size - 2, size)

    for half_side, errors in ((8, 0), (30, 1)):
        truth = ring(half_side)
        result = with_pixels(truth, (1, half_side + 1), 0)
        assert warping_error(truth, result) * truth.size == pytest.approx(errors)
        assert warping_error(truth, result, classic=True) * truth.size == pytest.approx(1)


def test_warping_error_takes_the_best_threshold_over_the_whole_stack():
    truth = np.stack([two_cells(), two_cells()])
    probability = np.where(truth, 0.95, 0.05)
    probability[0, 3, 3] = 0.55  # a merger below 0.6
    probability[1, :, 1] = 0.65  # a split from 0.7 on
    assert warping_error(truth, probability, [0.5]) == pytest.approx(1 / 98)
    assert warping_error(truth, probability, [0.8]) == pytest.approx(1 / 98)
    assert warping_error(truth, probability) == 0


def test_warping_does_not_depend_on_memory_order():
    random = np.random.default_rng(3)
    truth, probability = random.random((20, 30)) > 0.4, random.random((20, 30))
    warped, _ = warp(truth, probability, 0.5)
    assert (warped != np.pad(truth, 1)).any()
    assert (warp(np.asfortranarray(truth), np.asfortranarray(probability), 0.5)[0] == warped).all()


# Rand error

TWO_CELLS = np.array([[1, 1, 0, 2, 2]] * 2)
MERGED = np.ones((2, 5), int)
HALF_LOST = np.array([[1, 0, 0, 1, 1]] * 2)


def test_rand_error_known_answers():
    assert rand_f_score(TWO_CELLS, MERGED) == pytest.approx(2 / 3)
    assert rand_f_score(TWO_CELLS, HALF_LOST) == pytest.approx(0.8148, abs=5e-5)
    assert rand_error(TWO_CELLS, MERGED) == pytest.approx(1 / 3)
    assert rand_error(TWO_CELLS, HALF_LOST) == pytest.approx(0.1852, abs=5e-5)


def rand_by_pairs(truth, result):
    """Go over all pairs of the truth's cell pixels, slice by slice."""
    together = np.zeros(3, int)
    for cells, found in zip(truth, result, strict=True):
        one, other = ndimage.label(cells)[0][cells], ndimage.label(found)[0][cells]
        other = np.where(other > 0, other, -1 - np.arange(len(other)))
        in_truth, in_result = one[:, None] == one, other[:, None] == other
        together += [in_truth.sum(), in_result.sum(), (in_truth & in_result).sum()]
    return 2 * together[2] / (together[0] + together[1])


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


# V_rand and V_info

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
@settings(deadline=None)  # the first example imports scikit-image
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
@settings(deadline=None)  # the first example imports scikit-image
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


# Border thinning


def drawn(picture):
    return np.array([[int(letter) for letter in line.replace(".", "0")] for line in picture.split()])


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
    found = thin_membranes(drawn(cells) > 0)
    pairs = {(int(one), int(other)) for one, other in zip(found.ravel(), drawn(thinned).ravel(), strict=True)}
    # The same partition: lines on lines, and one id for each.
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    assert all((one == 0) == (other == 0) for one, other in pairs)


@given(arrays(np.bool_, (11, 9), elements=st.sampled_from([True, False, False])))
@settings(deadline=None)
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


# Pixel error


def test_pixel_error_is_one_minus_f1_of_cells_over_the_stack():
    truth = np.array([[[1, 1, 1, 0]], [[0, 0, 0, 0]]])
    result = np.array([[[1, 1, 0, 0]], [[1, 0, 0, 0]]])
    assert pixel_error(truth, result) == pytest.approx(1 - 2 * 2 / (2 * 2 + 1 + 1))
    assert pixel_error(truth * 255, truth) == 0


def test_pixel_error_takes_the_best_threshold():
    truth = np.array([[0, 0, 1, 1]])
    assert pixel_error(truth, np.array([[0.1, 0.45, 0.55, 0.8]])) == 0
    assert pixel_error(truth, np.array([[0.1, 0.45, 0.35, 0.8]])) == pytest.approx(1 - 4 / 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_at_the_threshold_is_no_cell(dtype):
    probability = np.array([[0.3, 0.7]], dtype)
    truth = np.array([[0, 1]])
    assert pixel_error(truth, probability, [0.3]) == 0
    assert pixel_error(truth, probability, [0.2]) == pytest.approx(1 / 3)


# What the metrics of stacks share


@pytest.mark.parametrize("metric", [pixel_error, rand_error, v_info, v_rand, warping_error])
@pytest.mark.parametrize(
    ("truth", "probability", "message"),
    [
        (np.ones((2, 2), int), np.ones((1, 2, 2)), r"one shape.*\(2, 2\) and \(1, 2, 2\)"),
        (np.ones((2, 2)), np.ones((2, 2)), "truth of integer ids.*float64"),
        (np.full((2, 2), -1), np.ones((2, 2)), "truth.*-1"),
        (np.ones((2, 2), int), np.array([[0.1, 0.2], [0.3, 1.25]]), r"\[0, 1\].*1.25"),
        (np.ones((2, 2), int), np.array([[0.1, 0.2], [0.3, -0.5]]), r"\[0, 1\].*-0.5"),
        (np.ones((2, 2), int), np.array([[0.1, 0.2], [0.3, np.nan]]), "NaN"),
        (np.ones((2, 2), int), np.full((2, 2), 255, np.uint8), r"\[0, 1\].*255"),
        (np.ones(3, int), np.ones(3), r"\(height, width\).*\(3,\)"),
        (np.ones((0, 2), int), np.ones((0, 2)), "not empty"),
    ],
)
def test_bad_stacks_are_refused(metric, truth, probability, message):
    with pytest.raises(ValueError, match=message):
        metric(truth, probability)


@pytest.mark.parametrize("metric", [pixel_error, rand_error, v_info, v_rand, warping_error])
@pytest.mark.parametrize("thresholds", [[], [0.5, 1.5], [float("nan")]])
def test_bad_thresholds_are_refused(metric, thresholds):
    with pytest.raises(ValueError, match="threshold"):
        metric(two_cells(), np.ones((7, 7)), thresholds)


@pytest.mark.parametrize("metric", [pixel_error, rand_error, v_info, v_rand])
def test_a_truth_without_cells_has_no_score(metric):
    with pytest.raises(ValueError, match="at least one cell"):
        metric(np.zeros((3, 3), int), np.ones((3, 3)))


def test_real_slices_agree_with_the_plain_rules(real_data):
    truth = tifffile.imread(real_data / "isbi2012/train-labels.tif")[20:22, 100:180, 300:370]
    raw = tifffile.imread(real_data / "isbi2012/train-volume.tif")[20:22, 100:180, 300:370]
    probability = ndimage.gaussian_filter(raw / 255, (0, 2, 2))
    for one, chance in zip(truth > 0, probability, strict=True):
        assert_follows_the_rules(one, chance, 0.5)
    assert rand_error(truth, probability, [0.5]) == pytest.approx(1 - rand_by_pairs(truth > 0, probability > 0.5))
    perfect = truth > 0
    assert [metric(truth, perfect) for metric in (pixel_error, rand_error, warping_error)] == [0, 0, 0]


# SEG


def read_frames(folder, pattern):
    return [tifffile.imread(path) for path in sorted(folder.glob(pattern))]


@pytest.fixture
def vectors(real_data):
    """The Cell Tracking Challenge's own test data and logs."""
    folder = real_data / "ctc_evaluation_vectors"
    if not folder.is_dir():
        pytest.skip(f"no test data of the Cell Tracking Challenge: {folder} does not exist")
    return folder


def test_seg_of_the_challenges_testing_dataset(vectors):
    folder = vectors / "testing_dataset"
    reference, result = read_frames(folder / "01_GT/SEG", "*.tif"), read_frames(folder / "01_RES", "*.tif")
    assert len(reference) == 18
    assert seg_measure(reference, result) == pytest.approx(0.232874, abs=5e-7)
    assert seg_of_sequence(folder, "01") == seg_measure(reference, result)


def test_every_jaccard_of_the_challenges_log(vectors):
    folder = vectors / "real_log_15_frames"
    log = (folder / "02_RES/SEG_log_first15.txt").read_text()
    expected = [
        {int(one): float(score) for one, score in re.findall(r"GT_label=(\d+) J=(\S+)", frame)}
        for frame in log.split("T=")[1:]
    ]
    frames = zip(read_frames(folder / "02_GT/SEG", "*.tif"), read_frames(folder / "02_RES", "*.tif"), strict=True)
    scores = [object_jaccards(*pair) for pair in frames]
    assert sum(map(len, scores)) == 979
    logged_mean = np.mean([score for frame in expected for score in frame.values()])
    assert seg_of_sequence(folder, "02") == pytest.approx(logged_mean, abs=5e-7)
    for found, logged in zip(scores, expected, strict=True):
        assert found == pytest.approx(logged, abs=5e-7, rel=5e-6)


def test_an_object_covered_by_half_is_unmatched():
    assert object_jaccards([[1, 1, 0, 2, 2]], [[7, 0, 0, 8, 8]]) == {1: 0, 2: 1}


def test_a_match_is_scored_by_the_whole_result_object():
    assert object_jaccards([[4, 4, 0, 0]], [[3, 3, 3, 3]]) == {4: 0.5}


def test_further_result_objects_do_not_count():
    reference, result = np.array([[1, 1, 0, 0, 0]]), np.array([[1, 1, 0, 2, 3]])
    assert seg_measure(reference, result) == 1


def test_every_object_weighs_the_same_whatever_its_frame():
    reference = np.array([[[1, 2, 3, 0]], [[1, 1, 1, 1]], [[0, 0, 0, 0]]])
    result = np.array([[[0, 0, 0, 0]], [[1, 1, 1, 1]], [[5, 5, 5, 5]]])
    assert seg_measure(reference, result) == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("reference", "result", "message"),
    [
        (np.ones((2, 3, 3), int), np.ones((1, 3, 3), int), "as many result frames.*1 and 2"),
        ([np.ones((3, 3), int)], [np.ones((3, 4), int)], r"one shape.*\(3, 3\) and \(3, 4\)"),
        (np.zeros((3, 3), int), np.ones((3, 3), int), "at least one reference object"),
        ([], [], "at least one reference object"),
        (np.full((3, 3), -1), np.ones((3, 3), int), "reference.*-1"),
        (np.ones((3, 3), int), np.ones((3, 3)), "result of integer ids.*float64"),
    ],
)
def test_bad_frames_are_refused(reference, result, message):
    with pytest.raises(ValueError, match=message):
        seg_measure(reference, result)


# DET


def test_det_of_the_challenges_testing_dataset(vectors):
    folder = vectors / "testing_dataset"
    assert det_of_sequence(folder, "03") == pytest.approx(0.688, abs=5e-7)
    assert det_of_sequence(folder, "03", penalise_extras=False) == pytest.approx(0.7, abs=5e-7)
    reference, result = read_frames(folder / "03_GT/TRA", "*.tif"), read_frames(folder / "03_RES", "mask*.tif")
    assert det_measure(reference, result) == det_of_sequence(folder, "03")


def test_every_detection_error_of_the_challenges_log(vectors):
    folder = vectors / "testing_dataset"
    blocks = re.split(r"-{10}(.+?)-{10}", (folder / "03_RES/TRA_log.txt").read_text())[1:]
    frames_of = {
        title.split(" (")[0]: [int(frame) for frame in re.findall(r"^T=(\d+)", lines, re.MULTILINE)]
        for title, lines in zip(blocks[::2], blocks[1::2], strict=True)
    }
    pairs = zip(read_frames(folder / "03_GT/TRA", "*.tif"), read_frames(folder / "03_RES", "mask*.tif"), strict=True)
    for frame, pair in enumerate(pairs):
        assert detection_errors(*pair)[:3] == (
            frames_of["Splitting Operations"].count(frame),
            frames_of["False Negative Vertices"].count(frame),
            frames_of["False Positive Vertices"].count(frame),
        )


def test_detection_errors_known_answers():
    reference = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 4, 0]])
    assert detection_errors(reference, reference) == (0, 0, 0, 4)
    assert detection_errors(reference, np.ones_like(reference)) == (3, 0, 0, 4)
    assert detection_errors(reference, np.zeros_like(reference)) == (0, 4, 0, 4)
    # 5 finds markers 1 and 2, 6 half of marker 3 and thus none, 7 lies apart.
    assert detection_errors(reference, np.array([[5, 5, 5, 5, 5, 0, 0, 6, 6, 0, 0, 7]])) == (1, 2, 2, 4)


def test_det_weighs_splits_by_5_misses_by_10_and_extras_by_1():
    reference = np.array([[[1, 1, 0, 2, 2, 0, 0]], [[3, 3, 0, 4, 4, 0, 0]]])
    result = np.array([[[1, 1, 1, 1, 1, 0, 0]], [[3, 3, 0, 0, 0, 0, 9]]])
    assert det_measure(reference, result) == pytest.approx(1 - (5 + 10 + 1) / 40)
    assert det_measure(reference, result, penalise_extras=False) == pytest.approx(1 - 15 / 40)


def test_det_is_never_negative():
    reference = np.zeros((5, 5), int)
    reference[2, 2] = 1
    assert det_measure(reference, np.arange(1, 26).reshape(5, 5) * (reference == 0)) == 0


@pytest.mark.parametrize(
    ("reference", "result", "message"),
    [
        (np.ones((2, 3, 3), int), np.ones((1, 3, 3), int), "as many result frames.*1 and 2"),
        (np.zeros((3, 3), int), np.ones((3, 3), int), "at least one reference marker"),
        ([], [], "at least one reference marker"),
        (np.ones((3, 3), int), np.ones((3, 3)), "result of integer ids.*float64"),
    ],
)
def test_bad_frames_of_markers_are_refused(reference, result, message):
    with pytest.raises(ValueError, match=message):
        det_measure(reference, result)


# The challenge's folders


def write_masks(folder, masks):
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in masks.items():
        tifffile.imwrite(folder / name, np.asarray(labels, np.uint16), photometric="minisblack")


def test_sequences_are_read_by_frame_whatever_the_digits_and_the_result_folder(tmp_path):
    cell, nothing = [[1, 1], [0, 0]], [[0, 0], [0, 0]]
    write_masks(tmp_path / "02_GT/SEG", {"man_seg0003.tif": cell, "man_seg0010.tif": cell})
    write_masks(tmp_path / "02_GT/TRA", {"man_track0003.tif": cell, "man_track0010.tif": cell})
    masks = {"mask0003.tif": nothing, "mask0007.tif": cell, "mask0010.tif": cell}
    write_masks(tmp_path / "02_RES", masks)
    assert seg_of_sequence(tmp_path, "02") == 0.5
    assert det_of_sequence(tmp_path, "02") == 0.5
    write_masks(tmp_path / "elsewhere", masks | {"mask0003.tif": cell})
    assert seg_of_sequence(tmp_path, "02", tmp_path / "elsewhere") == 1
    assert det_of_sequence(tmp_path, "02", tmp_path / "elsewhere") == 1


REFERENCE = {"man_seg000.tif": [[1, 1]], "man_seg001.tif": [[1, 1]]}


@pytest.mark.parametrize(
    ("reference", "masks", "error", "message"),
    [
        ({}, {"mask000.tif": [[1, 1]]}, FileNotFoundError, "01_GT/SEG: expected files such as man_seg000.tif"),
        (REFERENCE, {"mask000.tif": [[1, 1]]}, FileNotFoundError, "mask001.tif: expected a mask for man_seg001.tif"),
        (REFERENCE, {}, FileNotFoundError, "01_RES: expected a folder.*no such folder"),
        (
            {"man_seg000.tif": [[1, 1]]},
            {"mask000.tif": [[1], [1]]},
            ValueError,
            r"mask000.tif: expected the size of man_seg000.tif, \(1, 2\). Received \(2, 1\)",
        ),
        ({"man_seg000.tif": [[0, 0]]}, {"mask000.tif": [[1, 1]]}, ValueError, "at least one reference object"),
        (
            {"man_seg_000_003.tif": [[1, 1]]},
            {"mask000.tif": [[1, 1]]},
            ValueError,
            "man_seg_000_003.tif: expected one file per frame.*plane of a volume",
        ),
        ({"man_seg000.tif": np.ones((7, 4, 5))}, {"mask000.tif": [[1, 1]]}, ValueError, "man_seg000.tif.*stack of 7"),
    ],
    ids=["no reference", "no mask", "no result", "size", "no object", "plane of a volume", "volume"],
)
def test_sequences_that_cannot_be_measured_are_refused(tmp_path, reference, masks, error, message):
    (tmp_path / "01_GT/SEG").mkdir(parents=True)
    write_masks(tmp_path / "01_GT/SEG", reference)
    if masks:
        write_masks(tmp_path / "01_RES", masks)
    with pytest.raises(error, match=message):
        seg_of_sequence(tmp_path, "01")


def test_a_missing_reference_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="01_GT/TRA: expected a folder"):
        det_of_sequence(tmp_path)


def test_the_metrics_work_without_tensorflow():
    code = "import sys; import keras_unet.challenge; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
