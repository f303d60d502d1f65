"""Objects from probabilities: components, small objects, growing, and holes."""

import math

import numpy as np
import pytest
from helpers.drawings import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from keras_unet.instances import connected_components, fill_holes, grow_instances, instances, watershed_instances


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


# Wrong input


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
