"""Objects from probabilities, and their match with a truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from keras_unet.commands.result_pictures import numbered_alike
from keras_unet.instances import (
    connected_components,
    contingency,
    fill_holes,
    grow_instances,
    instances,
    iou_matrix,
    match_instances,
    separated_pairs,
    touching_pairs,
    watershed,
    watershed_instances,
)
from keras_unet.watershed import peaks

small_labels = arrays(np.int32, (9, 7), elements=st.integers(0, 4))


def draw(picture):
    """Labels from lines of digits, '.' for background."""
    return np.array([[int(letter) for letter in line.replace(".", "0")] for line in picture.split()])


def partition(labels):
    """Objects as sets of pixels, whatever their ids."""
    return {frozenset(map(tuple, np.argwhere(labels == one))) for one in np.unique(labels[labels > 0])}


def test_diagonal_neighbours_are_two_objects():
    mask = draw("11.. 11.. ..11 ..11")
    assert partition(instances(mask)) == {
        frozenset({(0, 0), (0, 1), (1, 0), (1, 1)}),
        frozenset({(2, 2), (2, 3), (3, 2), (3, 3)}),
    }


def test_threshold_itself_is_background():
    assert instances(np.array([[0.5, 0.5000001, 0.2]])).tolist() == [[0, 1, 0]]
    assert instances(np.array([[0.3, 0.31]], dtype=np.float32), threshold=0.3).tolist() == [[0, 1]]


def test_small_objects_go_and_ids_stay_without_gaps():
    labels = instances(draw("111.1.11 111...11"), min_size=4)
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert labels[0, 4] == 0
    assert np.count_nonzero(labels) == 10


def test_nothing_above_the_threshold_is_no_object():
    assert not instances(np.zeros((3, 4)), min_size=2, grow=2).any()


@given(arrays(np.bool_, (9, 7)))
def test_components_are_those_of_scikit_image(mask):
    measure = pytest.importorskip("skimage.measure")
    labels = connected_components(mask)
    assert partition(labels) == partition(measure.label(mask, connectivity=1))
    assert labels.max() == len(partition(labels))


def test_memory_order_does_not_matter():
    mask = np.random.default_rng(0).random((30, 20)) > 0.4
    assert partition(instances(np.asfortranarray(mask), grow=1)) == partition(instances(mask, grow=1))


def test_growing_gives_a_gap_to_the_cell_on_its_right_or_below():
    # That cell owned it: a separation border is cut where a pixel's left or upper neighbour is another cell.
    assert grow_instances(draw("111.22 111.22 111.22"), 1).tolist() == draw("111222 111222 111222").tolist()
    assert grow_instances(draw("333 ... 444 444"), 1).tolist() == draw("333 444 444 444").tolist()
    assert grow_instances(draw("1..2 1..2"), 1).tolist() == draw("1122 1122").tolist()


def test_growing_does_not_merge_and_keeps_object_pixels():
    labels = draw("1...2 ..... 3....")
    grown = grow_instances(labels, 5)
    assert (grown[labels > 0] == labels[labels > 0]).all()
    assert set(np.unique(grown)) == {1, 2, 3}


def test_growing_by_one_reaches_the_eight_neighbours_and_the_image_border():
    assert grow_instances(draw("..... ..... ..7.. ....."), 1).tolist() == draw("..... .777. .777. .777.").tolist()
    assert grow_instances(draw("1... ...."), 1).tolist() == draw("11.. 11..").tolist()


@given(arrays(np.int32, (9, 11), elements=st.sampled_from([0] * 9 + [1, 2])), st.integers(0, 4))
def test_growing_covers_what_scikit_image_covers(labels, grow):
    segmentation = pytest.importorskip("skimage.segmentation")
    # Rounded distances up to `grow` are true ones below `grow` + 0.5, never met by square roots of integers.
    expected = segmentation.expand_labels(labels, grow + 0.499)
    assert ((grow_instances(labels, grow) > 0) == (expected > 0)).all()


@given(arrays(np.int32, (6, 7), elements=st.sampled_from([0] * 6 + [1, 2, 3])), st.integers(1, 3))
@settings(max_examples=50)
def test_every_grown_pixel_has_the_id_of_a_nearest_object(labels, grow):
    grown = grow_instances(labels, grow)
    objects = np.argwhere(labels)
    for pixel in np.argwhere((labels == 0) & (grown > 0)):
        distances = [round(math.dist(pixel, one)) for one in objects]
        nearest = objects[np.array(distances) == min(distances)]
        assert grown[tuple(pixel)] in {labels[tuple(one)] for one in nearest}


# Watershed


def test_markers_meet_in_the_valley():
    heights = [[5, 4, 3, 2, 3, 4, 5]]
    assert watershed(heights, [[7, 0, 0, 0, 0, 0, 9]], np.ones((1, 7))).tolist() == [[7, 7, 7, 9, 9, 9, 9]]
    # The higher way wins: 9 comes down to 2 before 7 has crossed 1.
    heights = [[5, 1, 4, 4, 2, 4, 5]]
    assert watershed(heights, [[7, 0, 0, 0, 0, 0, 9]], np.ones((1, 7))).tolist() == [[7, 7, 9, 9, 9, 9, 9]]


def test_markers_share_even_ground_by_steps():
    even = np.ones((3, 8))
    markers = np.zeros((3, 8), int)
    markers[1, 0], markers[1, 7] = 1, 2
    assert watershed(even, markers, even).tolist() == [[1] * 4 + [2] * 4] * 3


def test_watershed_stays_in_the_mask_and_leaves_parts_without_marker_empty():
    mask = draw("111.11 1.1.11 111.11")
    markers = draw("3..... ...5.. ......")  # the second lies outside the mask
    assert watershed(mask, markers, mask).tolist() == draw("333... 3.3... 333...").tolist()


def test_a_lower_marker_waits_until_the_flood_is_down_to_it():
    heights = [[1, 3, 3, 3, 9]]
    assert watershed(heights, [[1, 0, 0, 0, 2]], np.ones((1, 5))).tolist() == [[1, 2, 2, 2, 2]]


distinct_heights = st.permutations(range(72)).map(lambda order: np.array(order).reshape(8, 9))
few_markers = arrays(np.int32, (8, 9), elements=st.sampled_from([0] * 12 + [1, 2, 3]))
mostly_inside = arrays(np.bool_, (8, 9), elements=st.sampled_from([True] * 4 + [False]))


@given(distinct_heights, few_markers, mostly_inside)
def test_watershed_over_distinct_heights_is_that_of_scikit_image(heights, markers, mask):
    segmentation = pytest.importorskip("skimage.segmentation")
    expected = segmentation.watershed(-heights, np.where(mask, markers, 0), mask=mask)
    assert (watershed(heights, markers, mask) == expected).all()


@given(arrays(np.int32, (9, 10), elements=st.integers(1, 12)), st.integers(1, 4), arrays(np.bool_, (9, 10)))
def test_peaks_hold_the_maxima_of_scikit_image_that_rise_by_more_than_the_depth(heights, depth, mask):
    morphology, measure = pytest.importorskip("skimage.morphology"), pytest.importorskip("skimage.measure")
    ground = np.pad(heights * mask, 1)  # the background around counts as height 0
    cross = ndimage.generate_binary_structure(2, 1)
    # On even background scikit-image names peaks too; here they are sought in the mask alone.
    inside = np.pad(mask, 1)
    maxima = morphology.h_maxima(ground, depth + 1, cross).astype(bool) & inside
    found = peaks(ground.astype(np.float32), depth, inside)
    assert not (maxima & ~found).any()
    summits = measure.label(found, connectivity=1)
    assert set(np.unique(summits[maxima])) == set(range(1, summits.max() + 1))


def test_tops_of_one_height_with_a_shallow_pass_between_are_one_peak():
    heights = np.array([[1, 5, 4, 5, 1, 5, 1]], np.float32)
    assert peaks(heights, 2, heights > 0).astype(int).tolist() == [[0, 1, 1, 1, 0, 1, 0]]


def discs(*centres, radius=10, size=(40, 60)):
    row, column = np.indices(size)
    return [(row - y) ** 2 + (column - x) ** 2 <= radius**2 for y, x in centres]


def test_discs_that_overlap_are_parted_at_their_waist():
    one, other = discs((20, 20), (20, 36))
    labels = watershed_instances(one | other)
    assert labels.max() == 2
    assert ((labels > 0) == (one | other)).all()
    left, right = labels[20, 20], labels[20, 36]
    assert (labels[:, :28][(one | other)[:, :28]] == left).all()
    assert (labels[:, 29:][(one | other)[:, 29:]] == right).all()


def test_only_peaks_of_the_depth_asked_for_part_an_object():
    one, other = discs((20, 20), (20, 36))
    # At the waist the discs are 2 x 6 pixels wide, 4 pixels below their peaks of 10 to 11.
    assert watershed_instances(one | other, depth=3).max() == 2
    assert watershed_instances(one | other, depth=6).max() == 1
    assert instances(one | other).max() == 1


def test_objects_without_a_waist_are_parted_where_the_probability_sinks():
    probability = np.full((12, 20), 0.9)
    probability[:, 10] = 0.6
    assert watershed_instances(probability).max() == 1
    labels = watershed_instances(probability, by="probability")
    assert labels.max() == 2
    assert len(np.unique(labels[:, :10])) == len(np.unique(labels[:, 11:])) == 1
    assert watershed_instances(probability, by="probability", depth=0.4).max() == 1


def test_a_leaking_separation_border_is_mended_and_given_back():
    truth = np.zeros((20, 31), np.int32)
    truth[2:18, 2:15], truth[2:18, 15:29] = 1, 2
    cut = np.where(np.arange(31) == 15, 0, truth)  # the border takes a pixel of the later cell
    cut[10, 15] = 2  # and leaks
    assert instances(cut > 0, grow=1).max() == 1
    labels = watershed_instances(cut > 0, grow=1)
    assert separated_pairs(truth, labels) == (1, 1)
    assert (labels[truth > 0] > 0).all()
    inside = labels * (truth > 0)
    agree = np.isin(inside, [inside[10, 5]]) == (truth == 1)
    assert np.count_nonzero(~agree) <= 1  # but the leak itself


@given(arrays(np.bool_, (12, 14)))
def test_watershed_only_parts_components(mask):
    labels, components = watershed_instances(mask), connected_components(mask)
    assert ((labels > 0) == mask).all()
    assert sorted(np.unique(labels[labels > 0])) == list(range(1, labels.max() + 1))
    for one in range(1, labels.max() + 1):
        assert len(np.unique(components[labels == one])) == 1
        assert connected_components(labels == one).max() == 1


def test_watershed_instances_of_nothing_and_of_everything():
    assert not watershed_instances(np.zeros((5, 6))).any()
    assert (watershed_instances(np.ones((5, 6))) == 1).all()
    assert (watershed_instances(np.ones((5, 6)), by="probability") == 1).all()


# Holes


def test_holes_up_to_a_size_are_filled():
    mask = draw("1111111 1.1...1 1111111")
    assert fill_holes(mask, 0).tolist() == (mask > 0).tolist()
    assert fill_holes(mask, 2).astype(int).tolist() == draw("1111111 111...1 1111111").tolist()
    assert fill_holes(mask, 3).all()
    assert instances(mask, largest_hole=3).all()
    assert watershed_instances(mask, largest_hole=3).all()


def test_a_gap_at_the_corner_or_the_edge_is_no_hole():
    assert fill_holes(draw(".11 1.1 111"), 9).astype(int).tolist() == draw(".11 1.1 111").tolist()
    assert fill_holes(draw("1.1 1.1 111"), 9).astype(int).tolist() == draw("1.1 1.1 111").tolist()


@given(arrays(np.bool_, (9, 8)))
def test_filling_holes_of_any_size_is_that_of_scipy(mask):
    assert (fill_holes(mask, mask.size) == ndimage.binary_fill_holes(mask, np.ones((3, 3)))).all()


# Overlaps


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


def test_two_thousand_objects_are_counted_cut_and_grown_back():
    labels = np.zeros((2048, 2048), np.int32)
    side = 45
    for number in range(2025):
        row, column = number // side * side, number % side * side
        labels[row : row + side, column : column + side] = number + 1
    cut = labels.copy()
    cut[::side] = cut[:, ::side] = 0
    found = instances(cut > 0, min_size=100, grow=1)
    assert found.max() == 2025
    assert (found[: side * side, : side * side] > 0).all()
    assert separated_pairs(labels, found) == (2 * 45 * 44 + 2 * 44 * 44,) * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": np.ones((2, 2, 1))}, r"\(height, width\).*\(2, 2, 1\)"),
        ({"probability": np.ones((0, 2))}, "not empty"),
        ({"probability": np.array([[0.1, np.nan]])}, "without NaN"),
        ({"probability": np.array([[0.1, 1.5]])}, r"\[0, 1\].*1.5"),
        ({"probability": np.array([["a"]])}, "real numbers"),
        ({"probability": np.ones((2, 2)), "threshold": 1.5}, "threshold.*1.5"),
        ({"probability": np.ones((2, 2)), "threshold": math.nan}, "threshold.*nan"),
        ({"probability": np.ones((2, 2)), "threshold": None}, "threshold.*None"),
        ({"probability": np.ones((2, 2)), "min_size": None}, "min_size.*None"),
        ({"probability": np.ones((2, 2)), "min_size": -1}, "min_size.*-1"),
        ({"probability": np.ones((2, 2)), "grow": 0.5}, "grow.*0.5"),
    ],
)
def test_bad_input_to_instances_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        instances(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": np.full((2, 2), 1.5)}, r"\[0, 1\].*1.5"),
        ({"threshold": -0.5}, "threshold.*-0.5"),
        ({"min_size": -1}, "min_size.*-1"),
        ({"largest_hole": 1.5}, "largest_hole.*1.5"),
        ({"by": "colour"}, "'distance', 'probability'.*'colour'"),
        ({"depth": 0}, "positive depth.*0"),
        ({"depth": math.nan}, "positive depth.*nan"),
    ],
)
def test_bad_input_to_watershed_instances_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        watershed_instances(**{"probability": np.ones((2, 2))} | arguments)


@pytest.mark.parametrize(
    ("heights", "markers", "mask", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 3), int), np.ones((2, 2)), r"one shape.*\(2, 2\), \(2, 3\) and \(2, 2\)"),
        (np.full((2, 2), np.nan), np.ones((2, 2), int), np.ones((2, 2)), "heights.*without NaN"),
        (np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)), "markers of integer ids.*float64"),
        (np.ones(2), np.ones(2, int), np.ones(2), r"heights of shape \(height, width\)"),
    ],
)
def test_bad_input_to_watershed_is_refused(heights, markers, mask, message):
    with pytest.raises(ValueError, match=message):
        watershed(heights, markers, mask)


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
