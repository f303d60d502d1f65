"""Evaluation: figures worked out by hand on drawn images, and what each kind of data asks for."""

import numpy as np
import pytest

from keras_unet.datasets import LabelledImages, Sample
from keras_unet.training.evaluation import evaluate, format_table, unlearnt

BINARY = ("background", "cell")


def image_of(labels: np.ndarray) -> np.ndarray:
    """An image whose pixels are its labels, so that a predictor can read the truth."""
    return labels[..., None].astype(np.float32)


def data_of(*labels: list[list[int]], kind: str = "classes", names: tuple = BINARY, ignore: int | None = None):
    planes = [np.array(plane, np.int32) for plane in labels]
    samples = tuple(Sample(f"drawn {i}", image_of(plane), plane) for i, plane in enumerate(planes))
    return LabelledImages(samples, kind, len(names), names, ignore)


def one_hot(classes: list[list[int]], num_classes: int = 2) -> np.ndarray:
    return np.eye(num_classes, dtype=np.float32)[np.array(classes)]


def test_counts_are_summed_over_images_before_ratios_are_taken() -> None:
    """Cell: 3 right of 4 true and 4 found over both images, so IoU 3/5 and Dice 6/8; background 7 of 8 and 8."""
    data = data_of([[1, 1, 0, 0]], [[0, 0, 0, 0], [0, 0, 1, 1]])
    results = iter([one_hot([[1, 0, 1, 0]]), one_hot([[0, 0, 0, 0], [0, 0, 1, 1]])])
    figures = evaluate(lambda image: next(results), data)
    assert figures["iou"] == pytest.approx({"background": 7 / 9, "cell": 3 / 5})
    assert figures["dice"] == pytest.approx({"background": 14 / 16, "cell": 6 / 8})
    assert figures["mean_iou"] == pytest.approx((7 / 9 + 3 / 5) / 2)
    assert figures["pixel_accuracy"] == pytest.approx(10 / 12)
    assert figures["pixel_error"] == pytest.approx(1 - 6 / 8)
    assert (figures["images"], figures["pixels"]) == (2, 12)


def test_rand_error_is_the_challenge_s_on_images_of_different_sizes() -> None:
    """Both cells of the first image merged; F = 2/3 as in the known answer, unchanged by an image of another size."""
    merged = data_of([[1, 1, 0, 1, 1], [1, 1, 0, 1, 1]])
    assert evaluate(lambda image: one_hot([[1] * 5] * 2), merged)["rand_error"] == pytest.approx(1 / 3)
    both = data_of([[1, 1, 0, 1, 1], [1, 1, 0, 1, 1]], [[0], [0], [0]])
    results = iter([one_hot([[1] * 5] * 2), one_hot([[0], [0], [0]])])
    assert evaluate(lambda image: next(results), both)["rand_error"] == pytest.approx(1 / 3)


def test_ignored_pixels_do_not_count() -> None:
    data = data_of([[1, 0, 255, 255]], ignore=255)
    figures = evaluate(lambda image: one_hot([[1, 0, 1, 0]]), data)
    assert (figures["pixels"], figures["pixel_accuracy"], figures["pixel_error"]) == (2, 1.0, 0.0)


def test_one_channel_is_the_probability_of_the_foreground() -> None:
    data = data_of([[1, 0, 1]])
    figures = evaluate(lambda image: np.float32([[[0.9], [0.2], [0.5]]]), data)
    assert figures["iou"]["cell"] == pytest.approx(1 / 2)
    assert figures["pixel_error"] == 0.0  # the threshold 0.4 tells them apart


def test_several_classes_have_no_challenge_errors_and_absent_ones_no_score() -> None:
    data = data_of([[0, 1, 1, 0]], names=("sky", "tree", "car"))
    figures = evaluate(lambda image: one_hot([[0, 1, 0, 0]], 3), data)
    assert figures["iou"] == pytest.approx({"sky": 2 / 3, "tree": 1 / 2, "car": None})
    assert figures["mean_iou"] == pytest.approx(7 / 12)
    assert "pixel_error" not in figures


def touching() -> LabelledImages:
    plane = np.zeros((12, 22), int)
    plane[1:11, 1:11], plane[1:11, 11:21] = 1, 2
    return data_of(plane.tolist(), kind="instances")


def test_touching_objects_told_apart_count_as_separated_and_grow_back_to_their_shape() -> None:
    gap = np.zeros((12, 22), int)
    gap[1:11, 1:11], gap[1:11, 12:21] = 1, 1  # column 11 is the separation border
    figures = evaluate(lambda image: one_hot(gap.tolist()), touching())
    assert (figures["touching_pairs"], figures["separated_pairs"]) == (1, 1)
    assert (figures["objects"], figures["objects_found"]) == (2, 2)
    assert figures["seg"] > 0.6


def test_touching_objects_merged_into_one_do_not_count_as_separated() -> None:
    figures = evaluate(lambda image: one_hot((image[..., 0] > 0).astype(int).tolist()), touching())
    assert (figures["touching_pairs"], figures["separated_pairs"], figures["objects_found"]) == (1, 0, 1)


def test_the_threshold_of_objects_can_be_chosen_by_seg() -> None:
    """A bridge of probability 0.75 merges the cells below 0.8; from 0.9 on a broad rim is lost."""
    probability = np.zeros((12, 22), np.float32)
    probability[1:11, 1:11] = probability[1:11, 12:21] = 0.85
    probability[4:8, 4:8] = probability[4:8, 15:18] = 1.0
    probability[1:11, 11] = 0.75
    predicted = np.stack([1 - probability, probability], axis=-1)
    chosen = evaluate(lambda image: predicted, touching(), threshold=None)
    assert (chosen["threshold"], chosen["separated_pairs"]) == (0.8, 1)
    fixed = evaluate(lambda image: predicted, touching())
    assert (fixed["threshold"], fixed["separated_pairs"]) == (0.5, 0)


def test_data_without_any_cell_have_no_challenge_errors_instead_of_failing() -> None:
    figures = evaluate(lambda image: one_hot([[0, 0]]), data_of([[0, 0]]))
    assert (figures["pixel_error"], figures["rand_error"]) == (None, None)
    empty = evaluate(lambda image: one_hot([[0, 0]]), data_of([[0, 0]], kind="instances"))
    assert (empty["seg"], empty["touching_pairs"]) == (None, 0)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1, 2), (1, 2, 3)])
def test_probabilities_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Expected probabilities \(1, 2, 2\)"):
        evaluate(lambda image: np.zeros(shape, np.float32), data_of([[0, 1]]))


def test_the_table_shows_each_class_and_the_errors() -> None:
    """V_rand: of the two cell pixels one is background in the result, an object of its own. So of 4 ordered pairs in
    one cell 2 are in one object, and the result has no other: split 2/4, merge 2/2. V_info: the truth has no entropy,
    hence nothing is merged and nothing shared."""
    table = format_table(evaluate(lambda image: one_hot([[1, 0, 1, 0]]), data_of([[1, 1, 0, 0]])))
    assert table.splitlines() == [
        "class            IoU    Dice",
        "background    0.3333  0.5000",
        "cell          0.3333  0.5000",
        "mean          0.3333  0.5000",
        "pixel accuracy 0.5000 over 1 image",
        "pixel error 0.5000, Rand error 0.3333, each at its best threshold",
        "V_rand 0.6667 (split 0.5000, merge 1.0000), V_info 0.0000 (split 0.0000, merge 1.0000), "
        "each at its best threshold",
    ]


def test_a_class_that_is_never_told_right_is_named() -> None:
    data = data_of([[1, 1, 0, 0]])
    assert unlearnt(evaluate(lambda image: one_hot([[1, 1, 1, 0]]), data)) == []
    (sentence,) = unlearnt(evaluate(lambda image: one_hot([[1, 1, 1, 1]]), data))
    assert sentence.startswith("Hardly a pixel of background is told right (IoU below 0.01)")
    three = data_of([[0, 1, 1, 0]], names=("sky", "tree", "car"))
    assert unlearnt(evaluate(lambda image: one_hot([[0, 1, 0, 0]], 3), three)) == [], "there is no car"


def test_a_model_is_predicted_by_overlap_tile_like_its_one_pass() -> None:
    import tensorflow as tf

    import keras_unet as ku

    rng = np.random.default_rng(0)
    model = ku.UNet((None, None, 1), filters=2, depth=1, padding="valid", dropout=0, value_range=(0, 1))
    labels = (rng.random((36, 36)) > 0.5).astype(np.int32)
    image = rng.random((36, 36, 1)).astype(np.float32)
    data = LabelledImages((Sample("noise", image, labels),), "classes", 2, BINARY)
    margin = model.geometry.margin
    mirrored = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    one_pass = tf.nn.softmax(model(mirrored[None])).numpy()[0]
    whole = evaluate(lambda image: one_pass, data)
    assert evaluate(model, data)["pixel_accuracy"] == pytest.approx(whole["pixel_accuracy"], abs=1e-3)
