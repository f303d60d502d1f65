"""Windows of training tiles: all parts of an image are seen equally often, or pixels that count are in each window."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_unet import training
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.datasets import LabelledImages, Sample
from keras_unet.models.geometry import Geometry
from keras_unet.pipeline.examples import Example, prepare
from keras_unet.pipeline.tile_datasets import training_dataset
from keras_unet.pipeline.tile_position import window_corner
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
        image = np.random.default_rng(number).integers(0, 256, (120, 150, 1), np.uint8)
        samples.append(Sample(f"image-{number}", image, labels))
    return LabelledImages(tuple(samples), "classes", 2, ("background", "cell"), IGNORED)


def tiles(sampling: str, count: int = 40) -> list[tuple[np.ndarray, np.ndarray]]:
    """Label and weight of windows of sparse images, which are alike, before they are varied."""
    (example,) = prepare(sparse(1))
    arguments = {"settings": CUT_ONLY, "seed": 4, "sampling": sampling, "cut_only": True}
    dataset = training_dataset(prepare(sparse()), NET, SIZE, **arguments)  # type: ignore[arg-type]
    found = []
    for cut in dataset.take(count):
        top, left = (cut.centre.numpy()[0] - (SIZE - 1) / 2).astype(int)
        window = slice(top + SIZE, top + 2 * SIZE), slice(left + SIZE, left + 2 * SIZE)
        planes = (np.pad(plane, SIZE, "reflect")[window] for plane in (example.label, example.weight))
        found.append((*planes,))
    return found


def test_every_tile_holds_what_is_labelled_where_little_is() -> None:
    assert all((weight > 0).any() for _, weight in tiles("annotated"))
    assert all((weight[label == 1] > 0).any() for label, weight in tiles("foreground"))
    assert not all((weight > 0).any() for _, weight in tiles("uniform"))


def test_pixels_are_drawn_alike_at_the_rim_and_within() -> None:
    label, weight = np.zeros((60, 60), np.int32), np.zeros((60, 60), np.float32)
    weight[0, 0] = weight[30, 10:13] = weight[59, 59] = 1
    found = corners(label, weight, "annotated", 500)
    first, last = (found <= 0).all(axis=1), (found > 59 - SIZE).all(axis=1)
    assert first.mean() == pytest.approx(0.2, abs=0.06)
    assert last.mean() == pytest.approx(0.2, abs=0.06)
    within = found[~first & ~last]
    assert ((within[:, 0] > 30 - SIZE) & (within[:, 0] <= 30)).all()


@pytest.mark.parametrize("pixel", [(50, 40), (0, 0), (99, 2)], ids=str)
def test_a_pixel_lies_anywhere_in_its_window(pixel: tuple[int, int]) -> None:
    weight = np.zeros((100, 100), np.float32)
    weight[pixel] = 1
    places = np.array(pixel) - corners(np.zeros((100, 100), np.int32), weight, "annotated", 400)
    assert places.min() == 0
    assert places.max() == SIZE - 1
    np.testing.assert_allclose(places.mean(axis=0), (SIZE - 1) / 2, atol=1.2)


@pytest.mark.parametrize("shape", [(40, 30), (9, 45)], ids=["larger", "lower than the window"])
@pytest.mark.parametrize("size", [19, 20])
def test_centres_anywhere_show_all_pixels_of_mirrored_images_alike(
    size: int, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all places that can be drawn; pixels of the outermost rows and columns occur half as often in the mirror."""
    places = [1 + extent - size % 2 for extent in shape]
    numbers = np.pad(np.arange(shape[0] * shape[1]).reshape(shape), size, "reflect")
    visits = np.zeros(shape[0] * shape[1], np.int64)
    plane = tf.zeros(shape, tf.int32)
    for down in range(places[0]):
        for right in range(places[1]):
            drawn = tf.constant([(down + 0.5) / places[0], (right + 0.5) / places[1]], tf.float32)
            monkeypatch.setattr(tf.random, "stateless_uniform", lambda *_, drawn=drawn: drawn)
            top, left = window_corner(plane, plane, size, tf.constant([0, 0])).numpy().astype(int) + size
            visits += np.bincount(numbers[top : top + size, left : left + size].ravel(), minlength=visits.size)
    visits = visits.reshape(shape)
    inner = visits[1:-1, 1:-1]
    assert inner.max() - inner.min() <= 0.2 * inner.mean()
    sides = visits[0, 1:-1], visits[-1, 1:-1], visits[1:-1, 0], visits[1:-1, -1]
    for side in sides:
        assert side.mean() == pytest.approx(inner.mean() / 2, rel=0.12)


def test_tiles_that_are_varied_show_rim_and_corners_as_often_as_the_middle() -> None:
    """Counted in the tiles of the pipeline, whose labels are the pixels' numbers."""
    numbers = np.arange(80 * 64, dtype=np.int32).reshape(80, 64)
    example = Example("numbers", np.zeros((80, 64, 1), np.uint8), numbers, np.ones((80, 64), np.float32), numbers)
    settings = AugmentationSettings(shift=4, elastic_sigma=1)
    dataset = training_dataset([example], NET, SIZE, settings=settings, batch_size=20, seed=1)
    counts = sum(np.bincount(label.numpy().ravel(), minlength=80 * 64) for _, label, _ in dataset.take(200))
    visits = np.reshape(counts, (80, 64))
    ends, middle = (slice(None, 5), slice(-5, None)), visits[20:-20, 16:-16].mean()
    sides = [visits[end, 16:-16].mean() for end in ends] + [visits[20:-20, end].mean() for end in ends]
    assert 0.85 < np.mean(sides) / middle < 1.05
    assert 0.75 < np.mean([visits[down, right].mean() for down in ends for right in ends]) / middle < 1.15


@pytest.mark.parametrize("shape", [(100, 90), (12, 60)], ids=["larger", "lower than the window"])
def test_an_image_without_such_a_pixel_is_cut_as_any_other(shape: tuple[int, int]) -> None:
    label, weight = np.zeros(shape, np.int32), np.ones(shape, np.float32)
    expected = corners(label, weight, "uniform", 20)
    np.testing.assert_array_equal(corners(label, weight, "foreground", 20), expected)
    np.testing.assert_array_equal(corners(label, 0 * weight, "annotated", 20), expected)
    assert (corners(label, weight, "annotated", 20) != expected).any(axis=0).all()


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
