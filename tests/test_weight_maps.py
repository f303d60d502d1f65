import math
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

import keras_unet as ku
from keras_unet.losses.weight_maps import border_term, class_weights_from_counts, separation_border, weight_map


def border_term_by_full_transforms(labels, w0, sigma):
    """Equation 2 word for word: one exact transform of the whole image per cell, in float64."""
    ids = np.unique(labels[labels > 0])
    if len(ids) < 2:
        return np.zeros(labels.shape)
    distances = np.sort([ndimage.distance_transform_edt(labels != i) for i in ids], axis=0)
    return w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))


def separation_border_by_loops(labels):
    separated = labels.copy()
    height, width = labels.shape
    for y, x in np.argwhere(labels):
        for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                neighbour = labels[y + dy, x + dx]
                if neighbour and neighbour != labels[y, x]:
                    separated[y, x] = 0
    return separated


def touching_cells(cells, size, rng):
    """Nearest-centre regions cut off at a radius: cells of many sizes, touching or not, some of a few pixels."""
    centres = rng.random((cells, 2)) * size
    distance = np.hypot(*(np.indices((size, size))[:, None] - centres.T[:, :, None, None]))
    radius = rng.uniform(0.5, 0.8 * size / math.sqrt(cells), (cells, 1, 1))
    return np.where((distance < radius).any(0), 1 + np.argmin(distance / radius, 0), 0)


def two_squares():
    """Two squares of 3x3 pixels with three columns between."""
    labels = np.zeros((7, 12), np.int32)
    labels[2:5, 1:4] = 1
    labels[2:5, 7:10] = 2
    return labels


def test_the_package_offers_weight_map_and_separation_border():
    assert ku.weight_map is weight_map
    assert ku.separation_border is separation_border


def test_two_squares_with_a_known_gap_have_the_weights_worked_out_by_hand():
    weights = weight_map(two_squares())
    # 18 foreground and 66 background pixels: 84 / (2 * 18) and 84 / (2 * 66), whose mean over the pixels is 1.
    np.testing.assert_allclose([weights[3, 2], weights[3, 8]], 42 / 18, rtol=1e-6)
    # Between the squares d1 + d2 = 1 + 3 = 2 + 2 = 4 in each column: 10 exp(-16 / 50) = 7.26149037.
    np.testing.assert_allclose(weights[3, 4:7], 42 / 66 + 7.26149037, rtol=1e-6)
    # In the corner d1 = sqrt(1 + 4) and d2 = sqrt(49 + 4): 10 exp(-90.5576 / 50) = 1.634727.
    assert weights[0, 0] == pytest.approx(
        42 / 66 + 10 * math.exp(-((math.sqrt(5) + math.sqrt(53)) ** 2) / 50), rel=1e-6
    )
    assert weights.dtype == np.float32


@pytest.mark.parametrize(("sigma", "expected"), [(5.0, 7.26149037), (2.0, 1.35335283), (10.0, 9.23116346)])
def test_sigma_is_squared(sigma, expected):
    # 10 exp(-16 / 50), 10 exp(-2), 10 exp(-0.08)
    assert border_term(two_squares(), sigma=sigma)[3, 5] == pytest.approx(expected, rel=1e-6)


def test_the_two_distances_are_added():
    # Midway and off the middle alike d1 + d2 = 4; d1 - d2 would be 0 in the middle and give w0 there.
    np.testing.assert_allclose(border_term(two_squares())[3, 4:7], 7.26149037, rtol=1e-6)


def test_distances_are_measured_before_the_gap_is_cut():
    weights = weight_map([[1, 1, 2, 2]])
    # The third pixel is cut; it lies in cell 2 (d = 0), next to cell 1 (d = 1): 10 exp(-1 / 50) = 9.80198673.
    np.testing.assert_allclose(weights, [[2 / 3, 2 / 3, 2 + 9.80198673, 2 / 3]], rtol=1e-6)


def test_foreground_carries_its_class_weight_alone():
    labels = touching_cells(12, 64, np.random.default_rng(3))
    weights = weight_map(labels, class_weights=(0.25, 0.75))
    np.testing.assert_array_equal(weights[separation_border(labels) > 0], np.float32(0.75))
    assert weights[separation_border(labels) == 0].max() > 9


@pytest.mark.parametrize("seed", range(12))
def test_border_term_equals_full_transforms_of_every_cell(seed):
    rng = np.random.default_rng(seed)
    labels = touching_cells(int(rng.integers(2, 40)), int(rng.integers(40, 160)), rng)
    labels[tuple(rng.integers(0, labels.shape[0], (2, 3)))] = 1000 + np.arange(3)  # cells of one pixel
    w0, sigma = float(rng.uniform(0.5, 60)), float(rng.uniform(0.7, 9))
    expected = border_term_by_full_transforms(labels, w0, sigma)
    assert np.abs(border_term(labels, w0, sigma) - expected).max() <= 1e-6 * w0


def test_border_term_of_noise_equals_full_transforms():
    labels = np.random.default_rng(0).integers(0, 6, (37, 53))  # every instance in many parts, all touching
    np.testing.assert_allclose(border_term(labels), border_term_by_full_transforms(labels, 10, 5), atol=1e-5)


@pytest.mark.parametrize("shape", [(h, w) for h in (1, 2, 4, 5) for w in (1, 2, 3, 4)])
def test_border_term_of_tiny_images_equals_full_transforms(shape):
    labels = np.random.default_rng(1).integers(0, 4, shape)
    np.testing.assert_allclose(border_term(labels), border_term_by_full_transforms(labels, 10, 5), atol=1e-5)


def test_a_coarser_tolerance_is_kept():
    labels = touching_cells(20, 128, np.random.default_rng(5))
    error = np.abs(border_term(labels, tolerance=0.001) - border_term_by_full_transforms(labels, 10, 5))
    assert 1e-5 < error.max() <= 0.01


def test_real_cells_equal_full_transforms(real_data):
    tifffile = pytest.importorskip("tifffile")
    labels = tifffile.imread(real_data / "DIC-C2DH-HeLa" / "01_ST" / "SEG" / "man_seg010.tif")
    expected = border_term_by_full_transforms(labels, 10, 5)
    assert np.abs(border_term(labels) - expected).max() <= 1e-5


@pytest.mark.parametrize("labels", [np.zeros((5, 6), int), np.full((5, 6), 3), np.eye(5, dtype=np.uint8)])
def test_fewer_than_two_cells_have_no_border_term(labels):
    np.testing.assert_array_equal(border_term(labels), 0)


def test_two_parts_of_one_instance_do_not_make_a_border():
    labels = two_squares()
    labels[labels > 0] = 7
    np.testing.assert_array_equal(border_term(labels), 0)


@pytest.mark.parametrize("ids", [(1, 2), (200, 3), (2**31 + 5, 7), (2**63, 2**64 - 1)])
def test_weights_do_not_depend_on_the_ids(ids):
    labels = np.array([0, *ids], np.uint64)[two_squares()]
    np.testing.assert_array_equal(weight_map(labels), weight_map(two_squares()))


def test_huge_ids_without_background_are_told_apart():
    np.testing.assert_array_equal(border_term([[10**9, 10**9, 5]]), border_term([[1, 1, 2]]))


def test_the_input_is_left_as_it_was():
    labels = two_squares()
    weight_map(labels)
    separation_border(labels)
    np.testing.assert_array_equal(labels, two_squares())


def test_memory_does_not_grow_with_the_number_of_cells():
    def peak(labels):
        tracemalloc.start()
        border_term(labels)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few, many = np.zeros((2, 400, 400), np.int32)
    few[::100, ::100] = np.arange(1, 17).reshape(4, 4)
    many[::10, ::10] = np.arange(1, 1601).reshape(40, 40)
    # One float32 plane per cell would be 1 GB.
    assert peak(many) < peak(few) + 2e6


def test_separation_border_drawn_by_hand():
    labels = np.array(
        [
            [1, 1, 1, 2, 2, 2],
            [1, 1, 1, 2, 2, 2],
            [1, 1, 1, 2, 2, 2],
            [3, 3, 3, 0, 2, 2],
            [3, 3, 3, 0, 0, 4],
        ]
    )
    expected = np.array(
        [
            [1, 1, 1, 0, 2, 2],  # 2 sees 1 on its left
            [1, 1, 0, 0, 2, 2],  # 1 sees 2 above right
            [1, 1, 0, 0, 2, 2],
            [0, 0, 0, 0, 2, 2],  # 3 sees 1 above; 2 sees only background
            [3, 3, 3, 0, 0, 0],  # 4 sees 2 above
        ]
    )
    np.testing.assert_array_equal(separation_border(labels), expected)


def test_separation_border_is_one_pixel_below_a_horizontal_border():
    labels = np.repeat([[1], [1], [2], [2]], 5, axis=1)
    np.testing.assert_array_equal(separation_border(labels), np.repeat([[1], [1], [0], [2]], 5, axis=1))


def test_separation_border_cuts_touching_corners():
    np.testing.assert_array_equal(separation_border([[1, 0], [0, 2]]), [[1, 0], [0, 0]])
    np.testing.assert_array_equal(separation_border([[0, 1], [2, 0]]), [[0, 1], [0, 0]])


def test_separation_border_leaves_cells_with_a_gap_alone():
    labels = two_squares().astype(np.uint16)
    separated = separation_border(labels)
    np.testing.assert_array_equal(separated, labels)
    assert separated.dtype == np.uint16


@pytest.mark.parametrize("seed", range(3))
def test_separation_border_equals_the_rule_pixel_by_pixel(seed):
    labels = touching_cells(25, 60, np.random.default_rng(seed))
    np.testing.assert_array_equal(separation_border(labels), separation_border_by_loops(labels))


def test_class_weights_are_inverse_frequencies_with_a_mean_of_one_over_the_pixels():
    np.testing.assert_allclose(class_weights_from_counts([300, 100]), [2 / 3, 2])
    np.testing.assert_allclose(class_weights_from_counts([8, 2, 4]), [14 / 24, 14 / 6, 14 / 12])


def test_a_class_weighs_at_most_ten_times_as_much_as_the_most_frequent_one():
    """Five stray pixels: by frequency alone the others would weigh 1.6e-5 of theirs. (95 + 5 * 10) / 100 = 1.45."""
    np.testing.assert_allclose(class_weights_from_counts([95, 5]), [1 / 1.45, 10 / 1.45])
    weights = class_weights_from_counts([300_000, 100_000, 5])
    np.testing.assert_allclose(weights[1:] / weights[0], [3, 10])
    assert weights @ [300_000, 100_000, 5] == pytest.approx(400_005)


def test_an_absent_class_weighs_one_and_does_not_shrink_the_others():
    np.testing.assert_allclose(class_weights_from_counts([8, 0, 4]), [0.75, 1, 1.5])


@pytest.mark.parametrize("counts", [[], [0, 0], [3, -1], [[1, 2]], [1, np.nan]])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match=r"Expected .* Received"):
        class_weights_from_counts(counts)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 4), np.float32), "integer type.*float32"),
        (np.zeros((4, 4), bool), "number its objects"),
        (np.full((4, 4), -1), "0 .background. or more.*-1"),
        (np.zeros((4, 4, 1), int), r"\(height, width\).*\(4, 4, 1\)"),
        (np.zeros((0, 4), int), r"\(0, 4\)"),
    ],
)
@pytest.mark.parametrize("function", [separation_border, weight_map, border_term])
def test_labels_that_are_no_instance_ids_are_refused(function, labels, message):
    with pytest.raises(ValueError, match=message):
        function(labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0}, "sigma above 0.*sigma=0"),
        ({"sigma": -5.0}, "sigma above 0"),
        ({"sigma": math.nan}, "sigma above 0"),
        ({"w0": -1.0}, "w0 of at least 0"),
        ({"w0": math.inf}, "w0 of at least 0"),
        ({"w0": math.nan}, "w0 of at least 0"),
        ({"class_weights": (1.0,)}, "background, foreground"),
        ({"class_weights": (1.0, -1.0)}, "at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        weight_map(two_squares(), **arguments)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1e-6, math.nan])
def test_a_tolerance_out_of_range_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance between 0 and 1"):
        border_term(two_squares(), tolerance=tolerance)


def test_opencv_is_left_as_it_was():
    cv2 = pytest.importorskip("cv2")
    before = cv2.ipp.useIPP()
    border_term(two_squares())
    assert cv2.ipp.useIPP() == before


def test_w0_of_zero_leaves_the_class_balance():
    weights = weight_map(two_squares(), w0=0.0, class_weights=(0.5, 1.0))
    np.testing.assert_array_equal(weights, np.where(two_squares() > 0, 1.0, 0.5))
