"""What several annotators agree on, by hand."""

import numpy as np
import pytest

from keras_unet.datasets.annotator_consensus import consensus

A = np.array([[0, 1, 1, 2, 9]])
B = np.array([[0, 1, 2, 2, 1]])
C = np.array([[0, 1, 2, 0, 9]])


def test_all_have_to_agree_and_an_unjudged_pixel_is_no_vote() -> None:
    np.testing.assert_array_equal(consensus([A, B, C], ignore_label=9), [[0, 1, 9, 9, 1]])


def test_two_of_three_are_a_majority() -> None:
    np.testing.assert_array_equal(consensus([A, B, C], 9, agreement=0.51), [[0, 1, 2, 2, 1]])


def test_one_annotator_is_taken_at_their_word() -> None:
    np.testing.assert_array_equal(consensus([A], 9), A)


def test_two_who_differ_have_no_majority() -> None:
    np.testing.assert_array_equal(consensus([A, B], 9, agreement=0.51), [[0, 1, 9, 2, 1]])


@pytest.mark.parametrize(
    ("annotations", "agreement", "message"),
    [
        ([], 1.0, "at least one annotator. Received none"),
        ([A, B[:, :3]], 1.0, r"of one size. Received int64 \(1, 5\), int64 \(1, 3\)"),
        ([A / 2], 1.0, "Expected integer annotations"),
        ([A], 0.5, "above 0.5 and at most 1. Received 0.5; nearest is 0.51"),
        ([A], float("nan"), "Received nan"),
    ],
)
def test_other_input_is_refused(annotations: list[np.ndarray], agreement: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        consensus(annotations, 9, agreement)
