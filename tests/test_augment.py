"""Augmentation against SciPy's splines and map_coordinates, and against NumPy's exact turns, flips and mirrors."""

import os

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np
import pytest
import tensorflow as tf
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from keras_unet import augment, elastic, variation
from keras_unet.augment import AugmentationSettings, Draw, TileAugmenter, elastic_deformation

NO_GRAY = {"brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "noise": 0.0}
SEED = 7


def example(height=96, width=80, channels=1, seed=0):
    """A noisy image (hardest to interpolate), labels with odd ids, weights."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    label = rng.choice([0, 3, 200], (height, width)).astype(np.int32)
    return image, label, rng.uniform(1, 11, (height, width)).astype(np.float32)


def still(matrix=((1, 0), (0, 1)), shift=(0, 0), knots=None, magnification=1.0):
    """A draw with a given geometry."""
    knots = np.zeros((3, 3, 2), np.float32) if knots is None else knots
    return Draw(
        *(tf.constant(part, tf.float32) for part in (knots, matrix, magnification, shift, (1, 1, 0, 0))),
        tf.constant([0, 0]),
    )


def warp(draw, arrays, tile, centre=None, settings=None, **options):
    """Cut with a given draw; by default a tile in the middle of the image."""
    height, width = arrays[1].shape
    centre = ((height - 1) / 2, (width - 1) / 2) if centre is None else centre
    augmenter = TileAugmenter(settings or AugmentationSettings(**NO_GRAY), input_size=tile, **options)
    return [part.numpy() for part in augmenter.apply(*arrays, centre=np.float32(centre), drawn=draw)]


def scipy_positions(knots, tile, centre, matrix=((1, 0), (0, 1)), span=None):
    """Sampling positions of a tile in float64, by SciPy's clamped splines along both axes."""
    field = np.float64(knots)
    grids = []
    for axis, size in enumerate(tile):
        half = max(size - 1, span or 0) / 2
        field = CubicSpline(np.linspace(-half, half, len(knots)), field, axis=axis, bc_type="clamped")(
            np.arange(size) - (size - 1) / 2
        )
        grids.append(np.arange(size) - (size - 1) / 2)
    offset = np.stack(np.meshgrid(*grids, indexing="ij"), -1) + field
    return np.moveaxis(offset @ np.float64(matrix).T + centre, -1, 0)


def drawn(settings, count=300):
    """Many draws, each with a seed of its own: one array for each part."""
    dataset = tf.data.Dataset.range(count).map(lambda index: augment.draw([SEED, index], settings)).batch(count)
    return Draw(*(part.numpy() for part in dataset.get_single_element()))


def turn(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


# The field


@pytest.mark.parametrize(("height", "width", "points"), [(200, 230, 3), (300, 211, 2), (400, 390, 5)])
def test_field_is_the_clamped_cubic_spline_of_scipy(height, width, points):
    knots = np.random.default_rng(1).normal(0, 10, (points, points, 2))
    rows, columns = (elastic.interpolation_matrix(size, points, 10.0) for size in (height, width))
    ours = np.einsum("yi,ijc,xj->cyx", rows, knots, columns)
    identity = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"))
    expected = scipy_positions(knots, (height, width), ((height - 1) / 2, (width - 1) / 2)) - identity
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_field_is_map_coordinates_of_the_coarse_grid_too():
    grid = np.random.default_rng(2).normal(0, 10, (3, 3))
    matrix = elastic.interpolation_matrix(201, 3, 10.0)
    places = np.meshgrid(np.linspace(0, 2, 201), np.linspace(0, 2, 201), indexing="ij")
    np.testing.assert_allclose(
        matrix @ grid @ matrix.T, map_coordinates(grid, places, order=3, mode="mirror"), atol=1e-4
    )


def test_field_passes_through_the_control_points_at_corners_edges_and_centre():
    matrix = elastic.interpolation_matrix(201, 3, 10.0)
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
    half = (elastic.control_span(size, 3, 10.0) if guard else size - 1) / 2
    spline = CubicSpline(np.linspace(-half, half, 3), np.eye(3), bc_type="clamped")
    pixels = np.linspace(-0.5, 0.5, 25) * (size - 1)
    value, slope = spline(pixels), spline(pixels, 1)
    knots = np.random.default_rng(3).normal(0, 10, (400, 3, 3, 2))
    down = np.einsum("yi,nijc,xj->ncyx", slope, knots, value)
    right = np.einsum("yi,nijc,xj->ncyx", value, knots, slope)
    return ((1 + down[:, 0]) * (1 + right[:, 1]) - down[:, 1] * right[:, 0]).min(axis=(1, 2))


def test_the_guard_spreads_the_grid_to_188_pixels_and_leaves_larger_tiles_alone():
    assert elastic.control_span(64, 3, 10.0) == pytest.approx(187)
    assert elastic.control_span(388, 3, 10.0) == 387
    assert elastic.control_span(64, 3, 0.0) == 63


# The warp against SciPy


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_elastic_warp_is_map_coordinates_with_mirror(channels, jit_compile):
    arrays = example(220, 240, channels)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    settings = AugmentationSettings(rotation_degrees=0, shift=0, **NO_GRAY)
    result = warp(still(knots=knots), arrays, (220, 240), settings=settings, jit_compile=jit_compile)
    positions = scipy_positions(knots, (220, 240), (109.5, 119.5))
    assert_same_as_scipy(result, arrays, positions)


def test_rotation_scale_shift_and_elastic_compose_into_one_warp():
    arrays = example(150, 170)
    matrix, shift, tile = turn(33), (5.25, -7.5), (120, 90)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    settings = AugmentationSettings(scale=(0.8, 1.5), **NO_GRAY)
    result = warp(still(matrix, shift, knots, 1.3), arrays, tile, centre=(70.0, 20.0), settings=settings)
    positions = scipy_positions(knots, tile, (75.25, 12.5), matrix / 1.3, span=187)
    assert_same_as_scipy(result, arrays, positions)


def assert_same_as_scipy(result, arrays, positions):
    image, label, weight = arrays
    for channel in range(image.shape[-1]):
        assert_close_where_steep(result[0][..., channel], image[..., channel], positions)
    assert_close_where_steep(result[2], weight, positions)
    from_tie = np.abs(positions % 1 - 0.5).min(axis=0)
    expected = map_coordinates(label, positions, order=0, mode="mirror")
    assert np.array_equal(result[1][from_tie > 1e-3], expected[from_tie > 1e-3])


def assert_close_where_steep(ours, source, positions):
    """Equal but for the rounding of float32 positions (6e-5 px from 512 px on) times the steepest step."""
    expected = map_coordinates(np.float64(source), positions, order=1, mode="mirror")
    pixels = 1e-4 if np.abs(positions).max() < 512 else 4e-4
    np.testing.assert_allclose(ours, expected, atol=pixels * np.ptp(source) + 1e-6)


def test_smooth_images_agree_with_scipy_to_1e_4_in_gray_values():
    rows, columns = np.mgrid[:256, :256]
    image = (np.sin(rows / 40) + np.cos(columns / 30))[..., None].astype(np.float32)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    arrays = (image, np.zeros((256, 256), np.int32), image[..., 0])
    result = warp(still(knots=knots), arrays, (256, 256))
    expected = map_coordinates(
        np.float64(image[..., 0]), scipy_positions(knots, (256, 256), (127.5, 127.5)), order=1, mode="mirror"
    )
    np.testing.assert_allclose(result[0][..., 0], expected, atol=1e-4)
    np.testing.assert_allclose(result[2], expected, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(20, 17), (5, 300), (1, 40), (3, 1), (1, 1)])
def test_an_image_much_smaller_than_the_tile_is_mirrored_for_ever(height, width):
    arrays = example(height, width)
    knots = augment.draw(SEED, AugmentationSettings()).knots
    matrix = np.float32(turn(70))
    result = warp(still(matrix, knots=knots), arrays, (96, 112))
    positions = scipy_positions(knots, (96, 112), ((height - 1) / 2, (width - 1) / 2), matrix, span=187)
    assert_same_as_scipy(result, arrays, positions)


def test_windows_cut_for_the_compiled_warp_hold_all_that_any_draw_reads():
    settings = AugmentationSettings(scale=(0.5, 2.0), shift=300.0, **NO_GRAY)
    arrays = example(900, 700)
    augmenter = TileAugmenter(settings, input_size=(40, 60), jit_compile=True)
    assert max(augmenter.source_size) < 700
    farthest = np.full((3, 3, 2), 40.0, np.float32) * np.random.default_rng(0).choice([-1, 1], (3, 3, 2))
    for centre in [(0.0, 0.0), (899.0, 699.0), (450.3, 20.8), (-250.0, 950.0)]:
        matrix = turn(123)
        result = augmenter.apply(*arrays, centre=np.float32(centre), drawn=still(matrix, (3.0, -2.0), farthest, 0.5))
        place = (centre[0] + 3.0, centre[1] - 2.0)
        assert_same_as_scipy(
            [part.numpy() for part in result],
            arrays,
            scipy_positions(farthest, (40, 60), place, matrix / 0.5, span=187),
        )


def test_the_largest_image_may_be_told_without_changing_the_result():
    arrays = example(100, 90)
    plain, told = (
        TileAugmenter(AugmentationSettings(), input_size=(64, 64), largest_image=largest)(
            *arrays, centre=(40, 50), seed=3
        )
        for largest in (None, (100, 120))
    )
    for one, other in zip(plain, told, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


# Exact geometry


def test_nothing_random_cuts_the_tile_as_it_is():
    image, label, weight = example()
    tile = TileAugmenter(AugmentationSettings.none(), input_size=(32, 24))
    result = tile(image, label, weight, centre=(10 + 15.5, 20 + 11.5), seed=1)
    np.testing.assert_array_equal(result[0], image[10:42, 20:44])
    np.testing.assert_array_equal(result[1], label[10:42, 20:44])
    np.testing.assert_array_equal(result[2], weight[10:42, 20:44])


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("size", [64, 65])
def test_quarter_turns_are_those_of_numpy(quarters, size):
    arrays = example(size, size)
    result = warp(still(np.round(turn(90 * quarters))), arrays, (size, size))
    for ours, source in zip(result, arrays, strict=True):
        np.testing.assert_array_equal(ours, np.rot90(source, quarters))


@pytest.mark.parametrize(("matrix", "axis"), [(((-1, 0), (0, 1)), 0), (((1, 0), (0, -1)), 1)])
def test_flips_are_those_of_numpy(matrix, axis):
    arrays = example(64, 50)
    for ours, source in zip(warp(still(matrix), arrays, (64, 50)), arrays, strict=True):
        np.testing.assert_array_equal(ours, np.flip(source, axis))


def test_shifts_move_whole_pixels_and_mirror_at_the_border():
    arrays = example(64, 50)
    result = warp(still(shift=(70, -9)), arrays, (64, 50))
    for ours, source in zip(result, arrays, strict=True):
        padding = [(140, 140), (60, 60)] + [(0, 0)] * (source.ndim - 2)
        np.testing.assert_array_equal(ours, np.pad(source, padding, mode="reflect")[210:274, 51:101])


def test_drawn_matrices_turn_and_flip_and_nothing_else():
    matrices = drawn(AugmentationSettings()).matrix
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(2), (300, 1, 1)), atol=1e-5)
    assert 0.4 < (np.linalg.det(matrices) < 0).mean() < 0.6
    angles = np.arctan2(matrices[:, 0, 1], matrices[:, 1, 1])
    assert np.histogram(angles, bins=4, range=(-np.pi, np.pi))[0].min() > 50


def test_drawn_magnifications_halve_as_often_as_they_double():
    scales = drawn(AugmentationSettings(scale=(0.5, 2.0))).magnification
    assert 0.5 <= scales.min() < 0.55
    assert 1.8 < scales.max() <= 2.0001
    assert 0.4 < (scales < 1).mean() < 0.6


def test_drawn_shifts_fill_their_range():
    shifts = drawn(AugmentationSettings(shift=16.0)).shift
    assert -16 <= shifts.min() < -15
    assert 15 < shifts.max() <= 16


# Alignment


def test_image_label_and_weight_stay_together():
    rows, columns = np.mgrid[:200, :200]
    cells = ((rows // 40 + columns // 40) % 2 * 200).astype(np.int32)
    augmenter = TileAugmenter(AugmentationSettings(**NO_GRAY), input_size=(180, 180), output_size=(88, 88))
    for seed in range(5):
        image, label, weight = augmenter(
            cells[..., None].astype(np.uint8), cells, cells.astype(np.float32), centre=(90, 100), seed=seed
        )
        centre = image.numpy()[46:134, 46:134, 0]
        np.testing.assert_array_equal(centre, weight)
        clear = np.abs(centre - 100) > 1
        np.testing.assert_array_equal((centre > 100)[clear], (label.numpy() > 100)[clear])
        assert np.unique(label).tolist() == [0, 200]


def test_label_and_weight_of_a_valid_net_are_the_centre_of_the_whole_tile():
    arrays = example(300, 280)
    whole = TileAugmenter(AugmentationSettings(), input_size=(204, 220))(*arrays, centre=(150, 140), seed=5)
    inner = TileAugmenter(AugmentationSettings(), input_size=(204, 220), output_size=(20, 36))(
        *arrays, centre=(150, 140), seed=5
    )
    np.testing.assert_allclose(inner[0], whole[0], atol=1e-3)
    np.testing.assert_array_equal(inner[1], whole[1][92:112, 92:128])
    np.testing.assert_allclose(inner[2], whole[2][92:112, 92:128], atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_labels_are_never_blended_and_keep_their_dtype(dtype):
    image, label, weight = example()
    label = np.where(label > 0, label, 0).astype(dtype)
    result = TileAugmenter(AugmentationSettings(), input_size=(64, 64))(image, label, weight, centre=(50, 40), seed=2)
    assert set(np.unique(result[1])) == {0, 3, 200}
    assert result[1].dtype.name == dtype


# Seeds, eager and graph


def seeded(augmenter, arrays, parallel, count=12):
    dataset = tf.data.Dataset.range(count).map(
        lambda index: augmenter(*arrays, centre=tf.constant([40.0, 40.0]), seed=tf.stack([index, SEED])),
        num_parallel_calls=parallel,
    )
    return [[part.numpy() for part in item] for item in dataset]


@pytest.mark.parametrize("jit_compile", [True, False])
def test_eager_function_and_dataset_agree_and_parallel_maps_give_the_same_bits(jit_compile):
    arrays = example()
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 56), jit_compile=jit_compile)
    one, many = seeded(augmenter, arrays, None), seeded(augmenter, arrays, 8)
    inside = tf.function(lambda seed: augmenter(*arrays, centre=(40.0, 40.0), seed=seed))
    for index, (alone, beside) in enumerate(zip(one, many, strict=True)):
        seed = tf.constant([index, SEED], tf.int64)
        for other in (augmenter(*arrays, centre=(40.0, 40.0), seed=seed), inside(seed)):
            np.testing.assert_allclose(alone[0], other[0], atol=1e-2)
            assert np.mean(alone[1] != other[1]) < 2e-3
            np.testing.assert_allclose(alone[2], other[2], atol=1e-3)
        for part, same in zip(alone, beside, strict=True):
            np.testing.assert_array_equal(part, same)


def test_other_seeds_give_other_tiles():
    arrays = example()
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 56))
    tiles = [item[0] for item in seeded(augmenter, arrays, None)]
    assert len({tile.tobytes() for tile in tiles}) == len(tiles)


def test_images_of_many_sizes_are_compiled_once():
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 48))
    dataset = tf.data.Dataset.from_generator(
        lambda: (example(50 + 9 * index, 60 - 7 * index) for index in range(4)),
        output_signature=(
            tf.TensorSpec((None, None, 1), tf.uint8),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None), tf.float32),
        ),
    ).map(lambda *arrays: augmenter(*arrays, centre=(20, 20), seed=1))
    assert dataset.element_spec[0].shape == (48, 48, 1)
    assert len(list(dataset)) == 4
    assert augmenter.warp.compiled.experimental_get_tracing_count() == 1


# Whole images


def test_whole_images_deform_as_scipy_would():
    image, label, weight = example(200, 210)
    result = [part.numpy() for part in elastic_deformation(image, label, weight, seed=4)]
    knots = 10 * tf.clip_by_value(tf.random.stateless_normal([1, 3, 3, 2], [4, 0]), -4, 4)[0].numpy()
    assert_same_as_scipy(result, (image, label, weight), scipy_positions(knots, (200, 210), (99.5, 104.5)))


@pytest.mark.parametrize("jit_compile", [True, False])
def test_each_image_of_a_batch_has_its_own_field_shared_with_its_label(jit_compile):
    image = np.repeat(example(100, 110)[0][None], 3, axis=0)
    deformed, label = elastic_deformation(image, image[..., 0], seed=1, jit_compile=jit_compile)
    assert deformed.shape == image.shape
    assert not np.array_equal(deformed[0], deformed[1])
    ramp = np.broadcast_to(np.arange(110, dtype=np.float32), (3, 100, 110))
    smooth, steps = elastic_deformation(ramp[..., None], ramp.astype(np.int32), seed=1, jit_compile=jit_compile)
    assert np.abs(smooth[..., 0] - tf.cast(steps, tf.float32)).max() <= 0.5001
    assert np.isin(label[2], image[2]).all()


def test_an_image_alone_comes_back_alone_and_sigma_zero_changes_nothing():
    image = example(30, 40, 3)[0]
    np.testing.assert_array_equal(elastic_deformation(image, seed=1, sigma=0.0), image)


def test_one_row_of_pixels_can_be_deformed():
    for jit_compile in (True, False):
        result = elastic_deformation(np.full((1, 30, 1), 7.0, np.float32), seed=1, jit_compile=jit_compile)
        np.testing.assert_allclose(result, np.full((1, 30, 1), 7.0), rtol=1e-6)


# Gray values


def test_gray_values_follow_exponent_contrast_brightness_and_noise():
    image = np.array([0.0, 64.0, 256.0, 160.0], np.float32).reshape(2, 2, 1) + 100
    relative = np.array([0.0, 0.25, 1.0, 0.625]) ** 0.5
    deviates = np.array([1.0, -1.0, 0.0, 2.0])
    expected = relative.mean() + 1.2 * (relative - relative.mean()) - 0.1 + 0.05 * deviates
    ours = augment.vary_gray_values(
        tf.constant(image),
        tf.constant([0.5, 1.2, -0.1, 0.05]),
        value_range=(100.0, 356.0),
        noise=tf.constant(deviates.reshape(2, 2, 1), tf.float32),
    )
    np.testing.assert_allclose(np.ravel(ours), 100 + 256 * expected, rtol=1e-5)


def test_noise_is_near_normal_and_without_pattern():
    noise = variation.pixel_noise([256, 250, 2], tf.constant([SEED, 1])).numpy()
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(noise) > 2) == pytest.approx(0.0455, abs=0.01)
    for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)):
        assert abs(np.mean(noise * np.roll(noise, step, (0, 1, 2)))) < 0.02


def test_noise_is_the_same_compiled_and_not_and_differs_by_seed():
    compiled = tf.function(variation.pixel_noise, jit_compile=True)
    fields = [variation.pixel_noise([64, 60, 1], tf.constant(seed)).numpy() for seed in ([1, 2], [2, 1], [-1, 2])]
    np.testing.assert_allclose(compiled([64, 60, 1], tf.constant([1, 2])), fields[0], atol=1e-6)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(fields[one].ravel(), fields[other].ravel())[0, 1]) < 0.05


def test_gray_variation_is_relative_to_the_value_range():
    image, label, weight = example(60, 60)
    small = TileAugmenter(AugmentationSettings(), input_size=(48, 48), value_range=(0.0, 255.0))
    large = TileAugmenter(AugmentationSettings(), input_size=(48, 48), value_range=(0.0, 255.0 * 257))
    one = small(image, label, weight, centre=(30, 30), seed=8)[0]
    other = large(image.astype(np.uint16) * 257, label, weight, centre=(30, 30), seed=8)[0]
    np.testing.assert_allclose(other / 257, one, atol=1e-2)


def test_gray_variation_leaves_geometry_label_and_weights_alone():
    arrays = example(60, 60)
    with_gray, without = (
        TileAugmenter(settings, input_size=(48, 48))(*arrays, centre=(30, 30), seed=8)
        for settings in (AugmentationSettings(), AugmentationSettings(**NO_GRAY))
    )
    assert np.corrcoef(np.ravel(with_gray[0]), np.ravel(without[0]))[0, 1] > 0.9
    assert not np.allclose(with_gray[0], without[0])
    np.testing.assert_array_equal(with_gray[1], without[1])
    np.testing.assert_allclose(with_gray[2], without[2], atol=1e-4)


def test_drawn_gray_parameters_stay_in_their_ranges():
    settings = AugmentationSettings(brightness=0.1, contrast=0.3, gamma=0.5, noise=0.04)
    gray = drawn(settings).gray
    low, high = np.array([1 / 1.5, 0.7, -0.1, 0.0]), np.array([1.5, 1.3, 0.1, 0.04])
    assert (gray >= low - 1e-6).all()
    assert (gray <= high + 1e-6).all()
    assert (np.ptp(gray, axis=0) > 0.9 * (high - low)).all()


# Wrong input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elastic_sigma": -1.0}, "elastic_sigma in 0 … 1000. Received -1.0; nearest is 0"),
        ({"elastic_points": 1}, "elastic_points in 2 … 64. Received 1; nearest is 2"),
        ({"elastic_points": 2.5}, "whole number of elastic_points"),
        ({"rotation_degrees": 360.0}, "nearest is 180"),
        ({"flip_vertical": 2}, "nearest is 1"),
        ({"shift": float("nan")}, "shift"),
        ({"scale": (2.0, 1.0)}, "Expected scale as \\(smallest, largest\\)"),
        ({"scale": (0.0, 1.0)}, "Expected scale"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AugmentationSettings(**settings)


def test_output_windows_that_have_no_centre_are_refused():
    for size in [(63, 64), (66, 66), (0, 64)]:
        with pytest.raises(ValueError, match="Expected an output window of 1 … 64 px"):
            TileAugmenter(AugmentationSettings(), input_size=(64, 64), output_size=size)
    with pytest.raises(ValueError, match="value_range"):
        TileAugmenter(AugmentationSettings(), input_size=(64, 64), value_range=(5.0, 5.0))


def test_an_image_larger_than_said_is_refused():
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 48), largest_image=(96, 79))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"largest_image=\(96, 79\)"):
        augmenter(*example(96, 80), centre=(40, 40), seed=1)


def test_tiles_are_cut_from_single_images_with_a_known_number_of_channels():
    image, label, weight = example()
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 48))
    with pytest.raises(ValueError, match="number of channels known"):
        augmenter(image[None], label[None], weight[None], centre=(40, 40), seed=1)
    ragged = tf.data.Dataset.from_generator(lambda: [image], output_signature=tf.TensorSpec((None, None, 1), tf.uint8))
    with pytest.raises(ValueError, match="known height and width"):
        ragged.map(lambda image: elastic_deformation(image, seed=1))


def test_shapes_that_do_not_fit_and_float_labels_are_refused():
    image, label, weight = example()
    with pytest.raises(ValueError, match="one channel is"):
        elastic_deformation(image[..., 0], seed=1)
    with pytest.raises(ValueError, match=r"Expected label of shape \(96, 80\). Received \(95, 80\)"):
        elastic_deformation(image, label[1:], seed=1)
    with pytest.raises(ValueError, match="Expected weight of shape"):
        elastic_deformation(image, label, weight[..., None], seed=1)
    with pytest.raises(ValueError, match="Received float32"):
        elastic_deformation(image, weight, seed=1)
