"""DET: the challenge's own figures, and what splits, misses and extras cost."""

import re

import numpy as np
import pytest
from helpers.challenge_rules import read_frames

from keras_unet.challenge import det_measure, det_of_sequence, detection_errors


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
