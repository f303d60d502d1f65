"""Windows of training tiles: inside the image, about pixels that count, each of these as likely."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_unet import training
from keras_unet.augment import AugmentationSettings
from keras_unet.datasets import LabelledImages, Sample
from keras_unet.geometry import Geometry
from keras_unet.pipeline import prepare, training_dataset
from keras_unet.sampling import window_corner
from keras_unet.training.config import config_from_dict

SIZE = 20
NET = Geometry(1, "same")
CUT_ONLY = AugmentationSettings.none()
IGNORED = 255


def corners(label: np.ndarray, weight: np.ndarray, sampling: str, count: int = 200) -> np.ndarray:
    planes = tf.constant(label), tf.constant(weight)
    compiled = tf.function(lambda seed: window_corner(*planes, SIZE, seed, sampling))  # type: ignore[arg-type]
    return np.stack([compiled(tf.constant([3, number], tf.int64)).numpy() for number in range(count)])


def sparse(count: int = 2) -> LabelledImages:
    """Images of which a patch of 4 x 6 pixels is labelled, half of it an object."""
    samples = []
    for number in range(count):
        labels = np.full((120, 150), IGNORED, np.int32)
        labels[60:64, 100:106] = 0
        labels[60:64, 103:106] = 1
        samples.append(Sample(f"image-{number}", np.zeros((120, 150, 1), np.uint8), labels))
    return LabelledImages(tuple(samples), "classes", 2, ("background", "cell"), IGNORED)


def tiles(sampling: str, count: int = 40) -> list[tuple[np.ndarray, np.ndarray]]:
    """Label and weight of windows of sparse images, which are alike, before they are varied."""
    (example,) = prepare(sparse(1))
    arguments = {"settings": CUT_ONLY, "seed": 4, "sampling": sampling, "cut_only": True}
    dataset = training_dataset(prepare(sparse()), NET, SIZE, **arguments)  # type: ignore[arg-type]
    found = []
    for cut in dataset.take(count):
        top, left = (cut.centre.numpy()[0] - (SIZE - 1) / 2).astype(int)
        window = slice(top, top + SIZE), slice(left, left + SIZE)
        found.append((example.label[window], example.weight[window]))
    return found


def test_every_tile_holds_what_is_labelled_where_little_is() -> None:
    assert all((weight > 0).any() for _, weight in tiles("annotated"))
    assert all((weight[label == 1] > 0).any() for label, weight in tiles("foreground"))
    assert not all((weight > 0).any() for _, weight in tiles("uniform"))


def test_windows_stay_inside_and_pixels_are_drawn_alike() -> None:
    label, weight = np.zeros((60, 60), np.int32), np.zeros((60, 60), np.float32)
    weight[0, 0] = weight[30, 10:13] = weight[59, 59] = 1
    found = corners(label, weight, "annotated", 500)
    assert found.min() >= 0
    assert found.max() <= 60 - SIZE
    first = (found == 0).all(axis=1).mean()  # the pixel in the corner leaves its window one place alone
    last = (found == 60 - SIZE).all(axis=1).mean()
    assert first == pytest.approx(0.2, abs=0.06)
    assert last == pytest.approx(0.2, abs=0.06)


def test_a_pixel_lies_anywhere_in_its_window() -> None:
    weight = np.zeros((100, 100), np.float32)
    weight[50, 40] = 1
    places = np.array([50, 40]) - corners(np.zeros((100, 100), np.int32), weight, "annotated", 400)
    assert places.min() == 0
    assert places.max() == SIZE - 1
    np.testing.assert_allclose(places.mean(axis=0), (SIZE - 1) / 2, atol=1.2)


@pytest.mark.parametrize("shape", [(100, 90), (12, 60)], ids=["larger", "lower than the window"])
def test_an_image_without_such_a_pixel_is_cut_as_any_other(shape: tuple[int, int]) -> None:
    label, weight = np.zeros(shape, np.int32), np.ones(shape, np.float32)
    expected = corners(label, weight, "uniform", 20)
    np.testing.assert_array_equal(corners(label, weight, "foreground", 20), expected)
    np.testing.assert_array_equal(corners(label, 0 * weight, "annotated", 20), expected)
    assert (corners(label, weight, "annotated", 20)[:, 0] == expected[:, 0]).all() == (shape[0] < SIZE)


def test_tiles_are_the_same_again_and_resumed() -> None:
    def take(first: int) -> list[list[np.ndarray]]:
        arguments = {"seed": 9, "sampling": "annotated", "cut_only": True}
        dataset = training_dataset(prepare(sparse()), NET, SIZE, first_batch=first, **arguments)  # type: ignore[arg-type]
        return [[part.numpy() for part in tf.nest.flatten(batch)] for batch in dataset.take(3)]

    second, again, first = take(2), take(2), take(1)
    for tile, same in [*zip(second, again, strict=True), (second[0], first[1])]:
        for one, other in zip(tile, same, strict=True):
            np.testing.assert_array_equal(one, other)


def test_other_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected sampling among uniform, annotated, foreground. Received 'all'"):
        training_dataset(prepare(sparse()), NET, SIZE, sampling="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", ["annotated", pytest.param("uniform", marks=pytest.mark.slow)])
def test_a_run_learns_from_a_patch_where_uniform_tiles_mostly_miss_it(sampling: str, tmp_path: Path) -> None:
    sections = {
        "data": {"validate": 0},
        "model": {"filters": 2, "depth": 1, "padding": "same"},
        "augmentation": {"elastic_sigma": 0, "rotation_degrees": 0, "shift": 0},
        "training": {"steps": 12, "log_every": 1, "input_size": SIZE, "sampling": sampling},
    }
    training.run(config_from_dict(sections), tmp_path / "run", data=sparse(), say=lambda line: None)
    losses = [float(line.split(",")[1]) for line in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
    assert len(losses) == 12
    if sampling == "annotated":
        assert min(losses) > 0
    else:
        assert losses.count(0.0) > 4  # a tile without a labelled pixel teaches nothing
