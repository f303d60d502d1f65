"""Region merging on membranes with gaps: cells are those that were drawn."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from keras_unet import challenge
from keras_unet.instances.components import connected_components
from keras_unet.instances.region_merging import merge_regions, merged_map, separated_map
from keras_unet.metrics.evaluated_image import Scope, judge
from keras_unet.training.tuning import tune_merging


def two_rooms(gap: int, doubt: float = 0.0) -> np.ndarray:
    """Cells left and right of a membrane in the middle, which has a gap; in its left cell stands a doubtful line."""
    cell = np.zeros((48, 96))
    cell[3:-3, 3:-3] = 1
    cell[:, 47:50] = 0
    cell[24 - gap // 2 : 24 + gap // 2, 47:50] = 1
    cell[3:-3, 23:25] = 1 - doubt
    return cell


def foam(seed: int, size: int = 160, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Cells about random points, and blurred, noisy membranes between them with gaps; ids, and probability of cell."""
    random = np.random.default_rng(seed)
    points, (row, column) = random.random((count, 2)) * size, np.indices((size, size))
    ids = ((row[..., None] - points[:, 0]) ** 2 + (column[..., None] - points[:, 1]) ** 2).argmin(axis=-1) + 1
    line = np.zeros(ids.shape, np.uint8)
    line[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    line[1:] |= ids[1:] != ids[:-1]
    line = cv2.dilate(line, np.ones((3, 3), np.uint8)) > 0
    thin = ndimage.gaussian_filter(random.standard_normal(ids.shape), 3)
    boundary = ndimage.gaussian_filter((line & (thin < np.quantile(thin, 0.9))).astype(float), 1)
    boundary += 0.05 * random.standard_normal(ids.shape)
    return np.where(line, 0, ids), np.clip(1 - boundary, 0, 1).astype(np.float32)


def test_a_gap_in_a_membrane_joins_no_cells_and_a_doubtful_line_divides_none() -> None:
    cell = two_rooms(gap=6, doubt=0.3)
    assert connected_components(cell > 0.5).max() == 1
    regions = merge_regions(cell, 0.5)
    assert regions.max() == 2
    assert len(np.unique(regions[6:-6, :44])) == len(np.unique(regions[6:-6, 53:])) == 1
    assert (regions > 0).all()


def test_a_greater_threshold_merges_more_and_zero_merges_nothing() -> None:
    _, cell = foam(0)
    counts = [int(merge_regions(cell, threshold).max()) for threshold in (0, 0.2, 0.5, 0.8, 1)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 24 > counts[3]


@pytest.mark.parametrize("seed", [0, 1])
def test_gaps_cost_less_rand_error_and_pixels_stay(seed: int) -> None:
    truth, cell = foam(seed)
    before, merged = challenge.rand_error(truth, cell), merged_map(cell, 0.3)
    assert challenge.rand_error(truth, merged) < before / 2
    assert challenge.pixel_error(truth, merged) <= challenge.pixel_error(truth, cell) + 0.002


def test_regions_are_what_is_above_zero_and_higher_thresholds_keep_their_order() -> None:
    regions = np.repeat([[1, 1, 2, 2, 2]], 3, axis=0)
    regions[2] = 3
    cell = np.linspace(0, 1, 15).reshape(3, 5)
    separated = separated_map(cell, regions)
    # A pixel is 0 where what lies to its left or above it (straight or diagonal) is another region.
    line = np.array([[0, 0, 1, 0, 0], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    np.testing.assert_allclose(separated, np.where(line, 0, 0.02 + 0.98 * cell), atol=1e-6)
    assert connected_components(separated > 0).max() == 2


def test_the_regions_of_foam_hang_together_nowhere() -> None:
    _, cell = foam(2)
    regions = merge_regions(cell, 0.5)
    above = connected_components(separated_map(cell, regions) > 0)
    assert all(len(np.unique(regions[above == one])) == 1 for one in range(1, above.max() + 1))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_image_of_membrane_or_of_cell_alone_is_one_region(value: float) -> None:
    assert (merge_regions(np.full((9, 7), value)) == 1).all()


def test_the_merge_threshold_is_chosen_by_the_rand_error_of_the_stack() -> None:
    drawn = [foam(seed) for seed in (3, 4)]
    images = [judge("drawn", ((ids > 0).astype(np.int32), ids.astype(np.int32)), c[..., None], 2) for ids, c in drawn]
    merging = tune_merging(images, Scope(("membrane", "cell"), "classes"))
    truths, cells = (np.stack(planes) for planes in zip(*drawn, strict=True))
    assert merging.rand_error_before == pytest.approx(challenge.rand_error(truths > 0, cells))
    merged = np.stack([merged_map(cell, merging.merge_threshold or 0) for cell in cells])
    assert merging.rand_error == pytest.approx(challenge.rand_error(truths > 0, merged))
    assert merging.rand_error < merging.rand_error_before / 2


@pytest.mark.parametrize("threshold", [-0.1, 1.5, np.nan, "a", None, True])
def test_a_merge_threshold_out_of_range_is_refused(threshold: object) -> None:
    with pytest.raises(ValueError, match=r"Expected a merge threshold in \[0, 1\]. Received"):
        merge_regions(np.ones((4, 4)), threshold)  # type: ignore[arg-type]


def test_maps_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        separated_map(np.ones((4, 4)), np.ones((4, 5), int))
