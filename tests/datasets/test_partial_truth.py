"""Which cells a mask leaves out, by silver truth and by markers."""

import numpy as np
import pytest
from helpers.image_files import SIZE, squares

from keras_unet.datasets.published.partial_truth import MARGIN, further_cells


def test_truth_of_all_objects_leaves_out_none():
    truth = squares((2, 2), (20, 20)).astype(np.int32)
    count, where = further_cells(truth, truth * 7, (truth == 2).astype(np.int32))
    assert count == 0
    assert not where.any()


def test_silver_object_without_a_true_one_is_left_out_with_a_margin():
    truth = squares((2, 2)).astype(np.int32)
    count, where = further_cells(truth, squares((2, 2), (20, 20)).astype(np.int32), None)
    assert count == 1
    assert where[20:28, 20:28].all()
    assert where[20, 20 - int(MARGIN)]
    assert not where[20, 20 - int(MARGIN) - 1]
    assert not where[:14].any()


def test_drawn_pixels_are_never_left_out():
    truth = squares((20, 10)).astype(np.int32)
    count, where = further_cells(truth, squares((20, 10), (20, 18)).astype(np.int32), None)
    assert count == 1
    assert not where[truth > 0].any()
    assert where[20:28, 18:26].all()


@pytest.mark.parametrize(("columns_drawn", "missed"), [(4, 0), (3, 1)])
def test_object_counts_as_drawn_from_half_of_its_pixels_on(columns_drawn, missed):
    silver = squares((20, 20)).astype(np.int32)
    truth = np.where(np.arange(SIZE) < 20 + columns_drawn, silver, 0)
    assert further_cells(truth, silver, None)[0] == missed


def test_marker_alone_leaves_out_pixels_within_half_the_longest_side():
    truth = squares((0, 0), side=12).astype(np.int32)
    marker = np.zeros_like(truth)
    marker[30, 30] = 9
    count, where = further_cells(truth, None, marker)
    assert count == 1
    assert where[30, 24]
    assert where[30, 36]
    assert not where[30, 23]


def test_marker_of_a_silver_object_adds_nothing_to_it():
    truth, silver = squares((2, 2)).astype(np.int32), squares((20, 20)).astype(np.int32)
    marker = squares((22, 22), side=3).astype(np.int32)
    with_marker, alone = further_cells(truth, silver, marker), further_cells(truth, silver, None)
    assert with_marker[0] == alone[0] == 1
    np.testing.assert_array_equal(with_marker[1], alone[1])


def test_mask_without_any_object_is_background_nowhere_if_there_are_markers():
    nothing = np.zeros((SIZE, SIZE), np.int32)
    count, where = further_cells(nothing, None, squares((20, 20), side=3).astype(np.int32))
    assert count == 1
    assert where.all()
    assert not further_cells(nothing, None, nothing)[1].any()
