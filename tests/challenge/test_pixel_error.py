"""The pixel error: one minus F1 of cells, at the best threshold."""

import numpy as np
import pytest

from keras_unet.challenge import pixel_error


def test_pixel_error_is_one_minus_f1_of_cells_over_the_stack():
    truth = np.array([[[1, 1, 1, 0]], [[0, 0, 0, 0]]])
    result = np.array([[[1, 1, 0, 0]], [[1, 0, 0, 0]]])
    assert pixel_error(truth, result) == pytest.approx(1 - 2 * 2 / (2 * 2 + 1 + 1))
    assert pixel_error(truth * 255, truth) == 0


def test_pixel_error_takes_the_best_threshold():
    truth = np.array([[0, 0, 1, 1]])
    assert pixel_error(truth, np.array([[0.1, 0.45, 0.55, 0.8]])) == 0
    assert pixel_error(truth, np.array([[0.1, 0.45, 0.35, 0.8]])) == pytest.approx(1 - 4 / 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_at_the_threshold_is_no_cell(dtype):
    probability = np.array([[0.3, 0.7]], dtype)
    truth = np.array([[0, 1]])
    assert pixel_error(truth, probability, [0.3]) == 0
    assert pixel_error(truth, probability, [0.2]) == pytest.approx(1 / 3)
