"""The elastic field: SciPy's clamped spline through the control points, with the guard against folds."""

import numpy as np
import pytest
from helpers.augmentation import drawn, scipy_positions
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from keras_unet.augment import sampling_field
from keras_unet.augment.augmentation_settings import AugmentationSettings


@pytest.mark.parametrize(("height", "width", "points"), [(200, 230, 3), (300, 211, 2), (400, 390, 5)])
def test_field_is_the_clamped_cubic_spline_of_scipy(height, width, points):
    knots = np.random.default_rng(1).normal(0, 10, (points, points, 2))
    rows, columns = (sampling_field.interpolation_matrix(size, points, 10.0) for size in (height, width))
    ours = np.einsum("yi,ijc,xj->cyx", rows, knots, columns)
    identity = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"))
    expected = scipy_positions(knots, (height, width), ((height - 1) / 2, (width - 1) / 2)) - identity
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_field_is_map_coordinates_of_the_coarse_grid_too():
    grid = np.random.default_rng(2).normal(0, 10, (3, 3))
    matrix = sampling_field.interpolation_matrix(201, 3, 10.0)
    places = np.meshgrid(np.linspace(0, 2, 201), np.linspace(0, 2, 201), indexing="ij")
    np.testing.assert_allclose(
        matrix @ grid @ matrix.T, map_coordinates(grid, places, order=3, mode="mirror"), atol=1e-4
    )


def test_field_passes_through_the_control_points_at_corners_edges_and_centre():
    matrix = sampling_field.interpolation_matrix(201, 3, 10.0)
    np.testing.assert_allclose(matrix[[0, 100, 200]], np.eye(3), atol=1e-6)


def test_displacements_at_the_control_points_have_the_deviation_asked_for():
    draws = drawn(AugmentationSettings(elastic_sigma=10.0)).knots
    assert np.std(draws) == pytest.approx(10.0, rel=0.05)
    assert np.mean(draws) == pytest.approx(0.0, abs=0.5)


def test_rows_and_columns_are_displaced_independently():
    draws = drawn(AugmentationSettings()).knots
    assert abs(np.corrcoef(draws[..., 0].ravel(), draws[..., 1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("size", [32, 96, 128, 188, 388])
def test_no_field_of_400_folds_whatever_the_size_of_the_tile(size):
    assert lowest_determinants(size, guard=True).min() > 0


def test_without_the_guard_fields_on_small_tiles_do_fold():
    assert 0.30 < (lowest_determinants(64, guard=False) <= 0).mean() < 0.85


def lowest_determinants(size, guard):
    """Smallest Jacobian determinant of 400 fields of 3x3 control vectors of 10 px, by SciPy's derivative."""
    half = (sampling_field.control_span(size, 3, 10.0) if guard else size - 1) / 2
    spline = CubicSpline(np.linspace(-half, half, 3), np.eye(3), bc_type="clamped")
    pixels = np.linspace(-0.5, 0.5, 25) * (size - 1)
    value, slope = spline(pixels), spline(pixels, 1)
    knots = np.random.default_rng(3).normal(0, 10, (400, 3, 3, 2))
    down = np.einsum("yi,nijc,xj->ncyx", slope, knots, value)
    right = np.einsum("yi,nijc,xj->ncyx", value, knots, slope)
    return ((1 + down[:, 0]) * (1 + right[:, 1]) - down[:, 1] * right[:, 0]).min(axis=(1, 2))


def test_the_guard_spreads_the_grid_to_188_pixels_and_leaves_larger_tiles_alone():
    assert sampling_field.control_span(64, 3, 10.0) == pytest.approx(187)
    assert sampling_field.control_span(388, 3, 10.0) == 387
    assert sampling_field.control_span(64, 3, 0.0) == 63
