"""SEG: the challenge's own figures, and which objects match."""

import re

import numpy as np
import pytest
from helpers.challenge_rules import read_frames

from keras_unet.challenge import object_jaccards, seg_measure, seg_of_sequence


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
