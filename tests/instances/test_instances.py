"""Objects from probabilities: components, small objects, flooding, and holes."""

import math

import numpy as np
import pytest
from helpers.drawings import draw
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from keras_unet.instances.components import (
    connected_components,
    drop_small,
    fill_holes,
    flood_down,
    instances,
    watershed_instances,
)


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
    assert not instances(np.zeros((3, 4)), min_size=2, expand=2).any()


@given(arrays(np.bool_, (9, 7)))
def test_components_are_those_of_scikit_image(mask):
    measure = pytest.importorskip("skimage.measure")
    labels = connected_components(mask)
    assert partition(labels) == partition(measure.label(mask, connectivity=1))
    assert labels.max() == len(partition(labels))


def test_memory_order_does_not_matter():
    mask = np.random.default_rng(0).random((30, 20)) > 0.4
    assert partition(instances(np.asfortranarray(mask), expand=2)) == partition(instances(mask, expand=2))


@given(arrays(np.int32, (7, 9), elements=st.integers(0, 5)), st.integers(0, 4))
def test_objects_that_are_kept_are_numbered_by_their_first_pixel(labels, min_size):
    kept = drop_small(labels, min_size)
    sizes = {one: np.count_nonzero(labels == one) for one in np.unique(labels[labels > 0])}
    assert partition(kept) == {
        frozenset(map(tuple, np.argwhere(labels == one))) for one, size in sizes.items() if size >= min_size
    }
    firsts = [np.flatnonzero(kept == one)[0] for one in range(1, kept.max() + 1)]
    assert firsts == sorted(firsts)


# Flooding to a lower threshold


def test_seeds_are_flooded_down_to_the_lower_threshold_and_meet_in_the_valley():
    chance = np.array([[0.1, 0.4, 0.9, 0.6, 0.3, 0.5, 0.9, 0.4, 0.1]])
    assert flood_down([[0, 0, 1, 0, 0, 0, 2, 0, 0]], chance, 0.2).tolist() == [[0, 1, 1, 1, 1, 2, 2, 2, 0]]
    assert flood_down([[0, 0, 1, 0, 0, 0, 2, 0, 0]], chance, 0.45).tolist() == [[0, 0, 1, 1, 0, 2, 2, 0, 0]]


@given(arrays(np.float32, (9, 11), elements=st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])))
def test_flooding_covers_what_hysteresis_thresholding_covers(chance):
    filters = pytest.importorskip("skimage.filters")
    seeds = connected_components(chance > 0.6)
    flooded = flood_down(seeds, chance, 0.2)
    # scikit-image joins diagonal neighbours as well, so that it covers more.
    assert (flooded[seeds > 0] == seeds[seeds > 0]).all()
    components = connected_components(chance > 0.2)
    with_seed = np.isin(components, np.unique(components[seeds > 0])) & (components > 0)
    assert ((flooded > 0) == with_seed).all()
    assert not (with_seed & ~filters.apply_hysteresis_threshold(chance, 0.2, 0.6)).any()
    assert all(connected_components(flooded == one).max() == 1 for one in range(1, seeds.max() + 1))


def test_flooding_over_distinct_levels_is_that_of_scikit_image():
    segmentation = pytest.importorskip("skimage.segmentation")
    random = np.random.default_rng(3)
    for _ in range(20):
        chance = (random.permutation(30) + 2).reshape(5, 6) / 32
        seeds = connected_components(chance > 0.8)
        expected = segmentation.watershed(-chance, seeds, mask=chance > 0.3)
        assert (flood_down(seeds, chance, 0.3) == expected).all()


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
        ({"probability": np.ones((2, 2)), "expand": 0.5}, "width.*0.5"),
    ],
)
def test_bad_input_to_instances_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        instances(**arguments)
