"""The watershed against scikit-image's, and objects parted where they narrow or the probability sinks."""

import math

import numpy as np
import pytest
from helpers.drawings import draw
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from keras_unet.instances.components import connected_components, instances, watershed_instances
from keras_unet.instances.marker_watershed import peaks, watershed
from keras_unet.instances.matching import separated_pairs


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
    assert instances(cut > 0, expand=2).max() == 1
    labels = watershed_instances(cut > 0, expand=2)
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


# Wrong input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": np.full((2, 2), 1.5)}, r"\[0, 1\].*1.5"),
        ({"threshold": -0.5}, "threshold.*-0.5"),
        ({"min_size": -1}, "min_size.*-1"),
        ({"largest_hole": 1.5}, "largest_hole.*1.5"),
        ({"by": "colour"}, "'distance', 'probability'.*'colour'"),
        ({"depth": 0}, "positive depth.*0"),
        ({"depth": "a"}, "positive depth.*a"),
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
