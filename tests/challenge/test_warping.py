"""The warping error: known answers, simple points, and what full passes in order give."""

import numpy as np
import pytest
from helpers.challenge_rules import assert_follows_the_rules, two_cells
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from keras_unet.challenge import warping_error
from keras_unet.challenge.warping import RING, SIMPLE, topology_errors, warp

EIGHT = np.ones((3, 3), int)


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


few_levels = arrays(np.float64, (11, 9), elements=st.sampled_from([0, 0.125, 0.375, 0.5, 0.625, 0.875, 1]))


@given(arrays(np.bool_, (11, 9)), few_levels, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
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
