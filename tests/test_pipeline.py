"""From labelled images to batches: what is cut, how it is weighted, and that nothing depends on parallelism."""

from functools import cache

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_unet as ku
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.instances.components import class_components
from keras_unet.models.geometry import Geometry
from keras_unet.pipeline.examples import class_balance, prepare
from keras_unet.pipeline.tile_datasets import training_dataset, validation_dataset

NET = Geometry(depth=1)
TILE = 36  # 20 come out
CUT_ONLY = AugmentationSettings.none()


def cells(count: int = 3, kind: str = "instances", ignore: int | None = None) -> LabelledImages:
    """Two touching rectangles, one cell apart; the image is its own label, so that misalignment shows."""
    samples = []
    for number in range(count):
        labels = np.zeros((40, 48 + 4 * number), np.int32)
        labels[8:24, 6:18], labels[8:24, 18:30], labels[30:36, 10:20] = 1, 2, 3
        image = (labels * 50).astype(np.uint8)[..., None]
        if kind == "classes":
            labels = (labels > 0).astype(np.int32)
        if ignore is not None:
            labels[:, :4] = ignore
        samples.append(Sample(f"image-{number}", image, labels))
    return LabelledImages(tuple(samples), kind, 2, ("background", "cell"), ignore)  # type: ignore[arg-type]


def batches(number: int, **changes: object) -> list[tuple[np.ndarray, ...]]:
    arguments = {"settings": AugmentationSettings(), "batch_size": 2, "seed": 7, **changes}
    dataset = training_dataset(prepare(cells()), NET, TILE, **arguments)  # type: ignore[arg-type]
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(number)]


@cache
def four_batches() -> list[tuple[np.ndarray, ...]]:
    """One tile after the other: made once for all tests, as a data set compiles its warp for seconds."""
    return batches(4, parallel_calls=1)


def test_instances_become_foreground_with_the_separation_border_cut() -> None:
    (example, *_) = prepare(cells(1))
    np.testing.assert_array_equal(example.label, ku.separation_border(cells(1)[0].labels) > 0)
    assert class_components(example.label).max() == 3
    assert class_components(cells(1, "classes")[0].labels).max() == 2


def test_weights_are_equation_2_with_the_class_weights_of_the_whole_set() -> None:
    data = cells()
    balance = class_balance(data)
    labels = [ku.separation_border(sample.labels) > 0 for sample in data]
    foreground = sum(int(label.sum()) for label in labels)
    background = sum(label.size for label in labels) - foreground
    pixels = foreground + background
    assert balance == pytest.approx((pixels / (2 * background), pixels / (2 * foreground)))
    for example, sample in zip(prepare(data, class_weights="balanced"), data, strict=True):
        np.testing.assert_allclose(example.weight, ku.weight_map(sample.labels, class_weights=balance), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"w0": np.nan}, "w0"),
        ({"w0": np.inf}, "w0"),
        ({"w0": -1.0}, "w0"),
        ({"sigma": 0}, "sigma"),
        ({"sigma": np.nan}, "sigma"),
    ],
)
def test_weights_without_meaning_are_refused(changes: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=f"Expected {name} "):
        prepare(cells(1), **changes)


def test_integers_of_numpy_are_taken_for_whole_numbers() -> None:
    for one, other in zip(four_batches()[:1], batches(1, batch_size=np.int64(2), seed=np.uint8(7)), strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    image, *_ = next(iter(validation_dataset(prepare(cells(1)), NET, np.int32(TILE), np.int64(2))))
    assert image.shape == (2, TILE, TILE, 1)


@pytest.mark.parametrize("value", [2.0, True, "2", None, np.float32(2)])
@pytest.mark.parametrize("name", ["batch_size", "first_batch", "seed"])
def test_other_numbers_than_whole_ones_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"Expected a whole number .*for {name}. Received"):
        batches(1, **{name: value})
    with pytest.raises(ValueError, match="for input_size. Received 36.0"):
        training_dataset(prepare(cells(1)), NET, 36.0)


def test_without_border_term_every_weight_is_one_by_default() -> None:
    assert all((example.weight == 1).all() for example in prepare(cells(), w0=0))


def labelled(*counts: int) -> LabelledImages:
    """One image with so many pixels of each class, called c0, c1, …"""
    labels = np.repeat(np.arange(len(counts)), counts)[None].astype(np.int32)
    names = tuple(f"c{number}" for number in range(len(counts)))
    sample = Sample("drawn", np.zeros((*labels.shape, 1), np.uint8), labels)
    return LabelledImages((sample,), "classes", len(counts), names)


def test_a_few_stray_pixels_of_a_class_are_told_by_its_name_and_cannot_outweigh_the_others() -> None:
    with pytest.warns(
        UserWarning, match=r"^Class 'c2' has only 5 of 4,005 pixels: its weight is limited to 6\.6"
    ) as told:
        balance = class_balance(labelled(3000, 1000, 5))
    assert len(told) == 1
    assert np.array(balance) / balance[0] == pytest.approx([1, 3, 10])


def test_a_class_without_pixels_is_told_by_its_name() -> None:
    told: list[str] = []
    assert class_balance(labelled(3, 0, 1), told.append) == pytest.approx((2 / 3, 1, 2))
    assert told == ["No training image has a pixel of class 'c1': the net cannot learn it."]


def test_objects_of_a_mask_are_its_connected_components() -> None:
    (example,) = prepare(cells(1, "classes"))
    assert example.instances.max() == 2
    np.testing.assert_array_equal(example.label, cells(1, "classes")[0].labels)
    assert example.weight[27, 15] > example.weight[2, 45], "the gap between two objects weighs more"


def test_ignored_pixels_weigh_nothing_and_count_in_no_frequency() -> None:
    (example,) = prepare(cells(1, ignore=255), class_weights=None)
    assert (example.weight[:, :4] == 0).all()
    assert (example.weight[:, 4:] >= 1).all()
    with_ignored, without = class_balance(cells(1, ignore=255)), class_balance(cells(1))
    assert with_ignored[0] > without[0]


def test_wrong_number_of_class_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected 2 class weights"):
        prepare(cells(), class_weights=(1.0, 2.0, 3.0))


@pytest.mark.parametrize("weights", [(-1.0, 1.0), (0.0, 0.0), (float("nan"), 1.0), "inverse"])
def test_impossible_class_weights_are_refused(weights: object) -> None:
    with pytest.raises(ValueError, match="Expected class"):
        prepare(cells(), class_weights=weights)  # type: ignore[arg-type]


def test_batches_have_the_shapes_that_fit_takes() -> None:
    image, label, weight = four_batches()[0]
    assert (image.shape, label.shape, weight.shape) == ((2, 36, 36, 1), (2, 20, 20), (2, 20, 20))
    assert (image.dtype, label.dtype, weight.dtype) == (np.float32, np.int32, np.float32)


def test_image_label_and_weight_stay_together_in_the_output_window() -> None:
    margin = (TILE - NET.output_size(TILE)) // 2
    seen = 0
    for image, label, _ in batches(
        6, settings=AugmentationSettings(elastic_sigma=1, brightness=0, contrast=0, gamma=0, noise=0)
    ):
        window = image[:, margin:-margin, margin:-margin, 0]
        inside = cv2.erode(label.astype(np.uint8).transpose(1, 2, 0), np.ones((3, 3))).transpose(2, 0, 1) > 0
        assert (window[inside] > 30).all()
        seen += int(inside.sum())
    assert seen > 100


def test_unvaried_tiles_are_cut_outs_of_the_mirrored_image() -> None:
    data = cells(1)
    padded = np.pad(data[0].image[..., 0], 40, mode="reflect")
    dataset = training_dataset(prepare(data), NET, TILE, settings=CUT_ONLY, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (TILE, TILE))
    for image, _, _ in dataset.take(4):
        assert (windows == image.numpy()[0, ..., 0]).all(axis=(2, 3)).any()


def test_same_seed_gives_the_same_bits_under_any_parallelism() -> None:
    for first, second in zip(four_batches(), batches(4, parallel_calls=8), strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)


def test_other_seed_and_other_batch_give_other_tiles() -> None:
    first, second, *_ = four_batches()
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], batches(1, seed=8)[0][0])


def test_resumed_at_a_batch_equals_uninterrupted() -> None:
    resumed = batches(2, first_batch=2)
    for a, b in zip(four_batches()[2:], resumed, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_each_epoch_shows_each_image_once_in_another_order() -> None:
    samples = [
        Sample(str(value), np.full((40, 40, 1), value, np.uint8), np.zeros((40, 40), np.int32)) for value in range(8)
    ]
    data = LabelledImages(tuple(samples), "classes", 2, ("a", "b"))
    dataset = training_dataset(prepare(data, class_weights=None), NET, TILE, settings=CUT_ONLY, seed=5)
    shown = [int(image.numpy().max()) for image, _, _ in dataset.take(32)]
    epochs = [shown[start : start + 8] for start in range(0, 32, 8)]
    assert all(sorted(epoch) == list(range(8)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_images_smaller_than_a_tile_are_mirrored() -> None:
    data = LabelledImages(
        (Sample("tiny", np.arange(35, dtype=np.uint16).reshape(5, 7, 1), np.ones((5, 7), np.int32)),),
        "classes",
        2,
        ("a", "b"),
    )
    ((image, label, weight),) = training_dataset(prepare(data), NET, TILE, settings=CUT_ONLY).take(1)
    assert image.shape == (1, 36, 36, 1)
    assert set(np.unique(label)) == {1}
    assert float(tf.reduce_max(image)) == 34


def test_validation_tiles_show_every_pixel_once() -> None:
    data = cells()
    examples = prepare(data)
    tiles = list(validation_dataset(examples, NET, TILE, batch_size=2))
    shown = np.mean([weight for *_, weights in tiles for weight in weights], dtype=np.float64)
    assert shown == pytest.approx(
        np.concatenate([example.weight.ravel() for example in examples]).mean(dtype=np.float64), rel=1e-5
    )
    image, label, _ = tiles[0]
    np.testing.assert_array_equal(label[0], examples[0].label[:20, :20])
    np.testing.assert_array_equal(image[0, 8:, 8:], examples[0].image[:28, :28])
    np.testing.assert_array_equal(image[0, :8, 8:], examples[0].image[8:0:-1, :28])


def test_model_fits_the_dataset_with_no_other_class_of_ours() -> None:
    keras.utils.set_random_seed(0)
    model = ku.UNet((None, None, 1), filters=8, depth=1, dropout=0.0)
    tiles = training_dataset(prepare(cells()), model.geometry, TILE, batch_size=2).take(15).cache()
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=ku.WeightedCrossentropy())
    before = model.evaluate(tiles, verbose=0)
    model.fit(tiles, epochs=4, verbose=0)
    assert model.evaluate(tiles, verbose=0) < 0.7 * before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"input_size": 37}, "Nearest legal: 36 or 38"),
        ({"batch_size": 0}, "at least 1 for batch_size"),
        ({"first_batch": -1}, "at least 0 for first_batch"),
        ({"examples": ()}, "at least one example"),
    ],
)
def test_impossible_arguments_are_refused(changes: dict[str, object], sentence: str) -> None:
    arguments = {"examples": prepare(cells(1)), "geometry": NET, "input_size": TILE, **changes}
    with pytest.raises(ValueError, match=sentence):
        training_dataset(**arguments)  # type: ignore[arg-type]
