"""Checks of arguments: what counts as a whole number, and which names classes may have."""

import numpy as np
import pytest

from keras_unet.models.geometry import Geometry
from keras_unet.utils.argument_checks import check_class_names, whole_number


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_integers_become_python_s_own(value: object) -> None:
    assert type(whole_number(value, "count", 3)) is int
    assert whole_number(value, "count", 3) == 3


@pytest.mark.parametrize("value", [3.0, np.float32(3), True, np.True_, "3", None, [3], np.array([3, 3])])
def test_anything_else_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"Expected a whole number for count\. Received"):
        whole_number(value, "count")


def test_a_number_below_the_least_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected a whole number of at least 1 for count\. Received 0"):
        whole_number(0, "count", 1)


def test_sizes_are_whole_numbers() -> None:
    assert Geometry(np.int64(4)) == Geometry(4)
    assert Geometry().output_size(np.int64(572)) == 388
    with pytest.raises(ValueError, match=r"whole number for the input size\. Received 572\.0"):
        Geometry().output_size(572.0)


def test_class_names_come_back_as_a_tuple() -> None:
    assert check_class_names(["sky", "tree"], 2) == ("sky", "tree")


@pytest.mark.parametrize("names", ["ab", ("a",), ("a", "a"), ("a", ""), ("a", " "), ("a", 1), ("a", ["b"])])
def test_names_that_do_not_tell_classes_apart_are_refused(names: object) -> None:
    with pytest.raises(ValueError, match="Expected 2 class names, background first, none empty and no two alike"):
        check_class_names(names, 2)
