"""Averaging over rotated versions of whole images: what must not change does not, and what turns turns along."""

from functools import partial

import numpy as np
import pytest
import tifffile
from helpers.command_line import mistake, run
from helpers.nets import net as any_net
from scipy import ndimage

import keras_unet as ku
from keras_unet import export
from keras_unet.inference.rotated_versions import ROTATIONS, Turn, averaged_scores
from keras_unet.inference.tiling import predict
from keras_unet.models.geometry import Geometry

ANGLES = ROTATIONS["rotations7"]


net = partial(any_net, seed=1, filters=4, value_range=(0, 1))


def scene(side, degrees=0.0, channels=1):
    """Smooth waves of 20 to 40 pixels about the centre of an image, turned by an angle: by formula, not resampled."""
    radians = np.radians(degrees)
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    y = np.cos(radians) * rows - np.sin(radians) * columns
    x = np.sin(radians) * rows + np.cos(radians) * columns
    planes = [
        0.5 + 0.2 * np.sin(x / (3 + band) + band) + 0.2 * np.cos(y / 4 + 0.3) + 0.1 * np.sin((x + 2 * y) / 9)
        for band in range(channels)
    ]
    return np.stack(planes, axis=-1).astype(np.float32)


def turned(values, degrees):
    """`values` of a scene as those of the scene turned, by SciPy's cubic spline."""
    planes = [ndimage.rotate(values[..., k], -degrees, reshape=False, order=3) for k in range(values.shape[-1])]
    return np.stack(planes, axis=-1)


def disc(side, radius):
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return rows**2 + columns**2 < radius**2


def test_the_set_is_seven_equal_steps_with_the_image_itself():
    assert len(ANGLES) == 7
    assert ANGLES[0] == 0.0
    np.testing.assert_allclose(np.diff([*ANGLES, 360.0]), 360 / 7)
    again = {round((a + b) % 360, 6) % 360 for a in ANGLES for b in ANGLES}  # turned twice is turned once
    assert sorted(again) == [round(angle, 6) for angle in ANGLES]


@pytest.mark.parametrize("size", [(40, 40), (33, 70), (1, 9), (1, 1)])
def test_a_pointwise_model_gives_what_it_gives_without(size):
    image = scene(80, channels=2)[: size[0], : size[1]]
    geometry = Geometry(2, "valid")
    pointwise = np.array([[1.0, -2.0, 0.5], [0.5, 1.0, -1.0]], np.float32)  # a 1x1 convolution

    def scores(pixels):
        return (pixels @ pointwise).astype(np.float32)

    averaged = averaged_scores(image, ANGLES, geometry, scores)
    assert averaged.shape == (*size, 3)
    # Two bilinear readings of waves of 20 pixels, and kinks where the image is mirrored.
    np.testing.assert_allclose(averaged, scores(image), atol=0.08)


def test_a_constant_image_is_exact():
    model = net(upsampling="bilinear")  # a transposed convolution shows its grid
    image = np.full((37, 50), 0.3, np.float32)
    plain = predict(model, image)
    np.testing.assert_allclose(predict(model, image, averaging="rotations7"), plain, atol=1e-6)
    assert np.ptp(plain, axis=(0, 1)).max() < 1e-6


@pytest.mark.parametrize("changes", [{}, {"upsampling": "bilinear", "padding": "same", "num_classes": 1}], ids=str)
def test_a_turned_image_has_the_turned_result(changes):
    """By angles of the set; by others, or without averaging, this net's answer changes with the direction."""
    model, side = net(**changes), 161
    inner = disc(side, 45)

    def change(degrees, averaging):
        results = [predict(model, scene(side, angle), averaging=averaging) for angle in (0, degrees)]
        return np.abs(turned(results[0], degrees) - results[1])[inner].mean()

    assert change(ANGLES[1], "rotations7") < 0.1 * change(ANGLES[1], "none")
    assert change(ANGLES[1], "rotations7") < 0.5 * change(ANGLES[1] / 2, "rotations7")


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_are_those_of_numpy(quarters):
    image = np.random.default_rng(0).random((21, 21, 2), np.float32)
    turn = Turn(-90.0 * quarters, (21, 21), Geometry(2, "valid"))
    found = turn.apply(image)
    sides = [(side - 21) // 2 for side in found.shape[:2]]
    mirrored = np.pad(image, [(side, side) for side in (*sides, 0)], mode="reflect")
    np.testing.assert_allclose(found, np.rot90(mirrored, quarters), atol=1e-5)
    np.testing.assert_allclose(turn.undo(found), image, atol=1e-5)


@pytest.mark.parametrize("size", [(50, 50), (9, 120), (1, 1)])
def test_a_turned_image_has_all_that_the_net_sees_on_the_same_grid(size):
    geometry = Geometry(3, "valid")
    for angle in ANGLES:
        height, width = Turn(angle, size, geometry).turned_size()
        assert (height - size[0]) % (2 * geometry.stride) == (width - size[1]) % (2 * geometry.stride) == 0
        corner = np.array([[r, c] for r in (-1, 1) for c in (-1, 1)]) * np.array(size) / 2
        radians = np.radians(angle)
        there = corner @ np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
        assert (np.abs(there).max(axis=0) + geometry.margin <= np.array([height, width]) / 2).all()


def test_tiles_do_not_show():
    model = net()
    image = np.random.default_rng(5).random((71, 45), np.float32)
    whole = predict(model, image, tile=44 + 4 * 50, averaging="rotations7")
    tiled = predict(model, image, tile=44 + 4 * 4, averaging="rotations7", batch_size=2)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert np.abs(whole - predict(model, image)).max() > 1e-3


@pytest.mark.parametrize("shape", [(20, 30, 1), (2, 13, 9, 1), (0, 9, 9, 1), (1, 1), (1, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_any_size_type_and_batch_is_taken(shape, dtype):
    model = net()
    image = np.random.default_rng(6).integers(0, 2, shape).astype(dtype)
    found = predict(model, image, averaging="rotations7")
    assert found.dtype == np.float32
    assert found.shape == predict(model, image).shape
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-5)


def test_graphs_of_tiles_refuse_it(tmp_path):
    model = net()
    sentence = "among none, flips, rotations, square. Received 'rotations7', which turns whole images in memory"
    with pytest.raises(ValueError, match=sentence):
        export.save(model, tmp_path / "m", averaging="rotations7")
    with pytest.raises(ValueError, match=sentence):
        ku.predict_file(model, tmp_path / "a.tif", tmp_path / "b.tif", averaging="rotations7")
    assert not list(tmp_path.iterdir())


def test_the_commands_take_it_where_images_are_whole_and_tell_where_not(tmp_path):
    model, image = net(filters=2, depth=1, value_range=(0, 255)), (scene(40)[..., 0] * 255).clip(0, 255)
    model.save(tmp_path / "net.keras")
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", (image > 128).astype(np.uint8) if folder == "labels" else image)
    averaging = ("--averaging", "rotations7")
    done = run("predict", "net.keras", "images", "--out", "out", *averaging, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = np.moveaxis(tifffile.imread(tmp_path / "out" / "a_probabilities.tif"), 0, -1)
    np.testing.assert_allclose(found, predict(model, image, averaging="rotations7"), atol=1e-5)
    done = run("evaluate", "net.keras", "--data", ".", "--label-kind", "classes", *averaging, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in (
        ("export", "net.keras", "models"),
        ("predict", "net.keras", "images", "--stream", "--out", "parts"),
    ):
        assert "Received 'rotations7', which turns whole images in memory" in mistake(
            *command, *averaging, cwd=tmp_path
        )
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "parts").exists()
