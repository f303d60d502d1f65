"""What the metrics of stacks share: what they refuse, and a real stack."""

import numpy as np
import pytest
import tifffile
from helpers.challenge_rules import assert_follows_the_rules, rand_by_pairs, two_cells
from scipy import ndimage

from keras_unet.challenge import pixel_error, rand_error, v_info, v_rand, warping_error


@pytest.mark.parametrize("metric", [pixel_error, rand_error, v_info, v_rand, warping_error])
@pytest.mark.parametrize(
    ("truth", "probability", "message"),
    [
        (np.ones((2, 2), int), np.ones((1, 2, 2)), r"one shape.*\(2, 2\) and \(1, 2, 2\)"),
        (np.ones((2, 2)), np.ones((2, 2)), "truth of integer ids.*float64"),
        (np.full((2, 2), -1), np.ones((2, 2)), "truth.*-1"),
        (np.ones((2, 2), int), np.array([[0.1, 0.2], [0.3, 1.25]]), r"\[0, 1\].*1.25"),
        (np.ones((2, 2), int), np.array([[0.1, 0.2], [0.3, -0.5]]), r"\[0, 1\].*-0.5"),
        (np.ones((2, 2), int), np.array([[0.1, 0.2], [0.3, np.nan]]), "NaN"),
        (np.ones((2, 2), int), np.full((2, 2), 255, np.uint8), r"\[0, 1\].*255"),
        (np.ones(3, int), np.ones(3), r"\(height, width\).*\(3,\)"),
        (np.ones((0, 2), int), np.ones((0, 2)), "not empty"),
    ],
)
def test_bad_stacks_are_refused(metric, truth, probability, message):
    with pytest.raises(ValueError, match=message):
        metric(truth, probability)


@pytest.mark.parametrize("metric", [pixel_error, rand_error, v_info, v_rand, warping_error])
@pytest.mark.parametrize("thresholds", [[], [0.5, 1.5], [float("nan")], 0.5, None, ["half"]])
def test_bad_thresholds_are_refused(metric, thresholds):
    with pytest.raises(ValueError, match="threshold"):
        metric(two_cells(), np.ones((7, 7)), thresholds)


@pytest.mark.parametrize("metric", [pixel_error, rand_error, v_info, v_rand])
def test_a_truth_without_cells_has_no_score(metric):
    with pytest.raises(ValueError, match="at least one cell"):
        metric(np.zeros((3, 3), int), np.ones((3, 3)))


def test_real_slices_agree_with_the_plain_rules(real_data):
    truth = tifffile.imread(real_data / "isbi2012/train-labels.tif")[20:22, 100:180, 300:370]
    raw = tifffile.imread(real_data / "isbi2012/train-volume.tif")[20:22, 100:180, 300:370]
    probability = ndimage.gaussian_filter(raw / 255, (0, 2, 2))
    for one, chance in zip(truth > 0, probability, strict=True):
        assert_follows_the_rules(one, chance, 0.5)
    assert rand_error(truth, probability, [0.5]) == pytest.approx(1 - rand_by_pairs(truth > 0, probability > 0.5))
    perfect = truth > 0
    assert [metric(truth, perfect) for metric in (pixel_error, rand_error, warping_error)] == [0, 0, 0]
