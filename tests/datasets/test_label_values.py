"""What label values mean: two, several or many of them, lossy, ignored, and those that are asked for."""

import numpy as np
import pytest
from helpers.image_files import mask

from keras_unet.datasets.label_interpretation import understand


def meaning(*arrays, **options):
    return understand([(f"file{i}.png", np.asarray(a)) for i, a in enumerate(arrays)], **options)


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (255,), (1,)])
def test_two_values_are_background_and_foreground(values):
    found = meaning(mask(values))
    assert (found.kind, found.num_classes) == ("classes", 2)
    np.testing.assert_array_equal(found.convert(mask(values)), mask(values) > 0)
    assert found.convert(mask(values)).dtype == np.int32


def test_decision_is_told_in_a_sentence():
    assert meaning(mask((0, 255))).note == "Labels hold 0, 255: read as background (0) and foreground (not 0)."


def test_files_of_zero_one_and_of_zero_255_are_one_data_set():
    found = meaning(mask((0, 1)), mask((0, 255)))
    assert found.num_classes == 2
    assert "different files" in found.note
    np.testing.assert_array_equal(found.convert(mask((0, 255))), mask((0, 1)))


def test_file_that_lacks_the_foreground_does_not_change_the_decision():
    assert meaning(np.zeros((8, 8), np.uint8), mask((0, 255))).num_classes == 2


def test_mask_that_went_through_jpeg_is_thresholded_in_the_middle():
    found = meaning(mask((0, 3, 8, 247, 252, 255)))
    assert "lossy" in found.note
    np.testing.assert_array_equal(found.convert(mask((0, 8, 247, 255))), mask((0, 0, 1, 1)))


def test_evenly_spread_grey_values_are_classes_in_their_order():
    found = meaning(mask((0, 127, 255)))
    assert (found.kind, found.num_classes) == ("classes", 3)
    assert "0, 127, 255, spread evenly" in found.note
    np.testing.assert_array_equal(found.convert(mask((255, 127, 0))), mask((2, 1, 0)))


def test_scattered_small_numbers_are_classes():
    found = meaning(np.random.default_rng(0).integers(0, 4, (32, 32)))
    assert (found.kind, found.num_classes) == ("classes", 4)


def blobs(count):
    labels = np.zeros((8, 4 * count), np.uint16)
    for i in range(count):
        labels[2:6, 4 * i : 4 * i + 3] = i + 1
    return labels


def test_many_numbers_each_in_one_piece_are_object_ids():
    found = meaning(blobs(9))
    assert (found.kind, found.num_classes) == ("instances", 2)
    assert "9 different ones up to 9" in found.note
    np.testing.assert_array_equal(found.convert(blobs(9)), blobs(9))


def test_touching_objects_are_still_object_ids():
    assert meaning(np.repeat(np.arange(10), 4)[None].repeat(6, 0)).kind == "instances"


def test_whole_data_set_decides_and_not_a_single_file():
    assert meaning((blobs(9) == 9).astype(np.uint16), blobs(9)).kind == "instances"


@pytest.mark.parametrize("labels", [blobs(2), blobs(3), mask((0, 1, 255)), mask(range(0, 250, 7))])
def test_values_that_fit_several_readings_are_asked_for(labels):
    with pytest.raises(ValueError, match=r"file0\.png: expected label values that tell.* label_kind=.* ignore_label"):
        meaning(labels)


def test_option_settles_what_values_cannot():
    assert meaning(blobs(3), label_kind="instances").kind == "instances"
    assert meaning(blobs(3), label_kind="classes").num_classes == 4
    assert meaning(blobs(3), num_classes=6).num_classes == 6
    binary = meaning(blobs(3), label_kind="binary")
    np.testing.assert_array_equal(binary.convert(blobs(3)), blobs(3) > 0)


def test_ignored_value_takes_no_part_in_the_decision_and_survives_it():
    found = meaning(mask((0, 1, 255)), ignore_label=255)
    assert (found.num_classes, found.ignore_label) == (2, 255)
    np.testing.assert_array_equal(found.convert(mask((0, 1, 255))), mask((0, 1, 255)))


def test_ignored_value_with_the_number_of_a_class_moves_to_255():
    found = meaning(mask((0, 1, 255)), ignore_label=1)
    assert found.ignore_label == 255
    np.testing.assert_array_equal(found.convert(mask((0, 1, 255))), mask((0, 255, 1)))


def test_labels_outside_the_given_number_of_classes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"file1\.png: labels outside the classes. Expected 0 to 2 .* Received 3"):
        meaning(mask((0, 1, 2)), mask((0, 3)), num_classes=3)


def test_labels_without_any_object_are_asked_for():
    with pytest.raises(ValueError, match="expected labels of some object. Received 0 everywhere"):
        meaning(mask((0,)))
    with pytest.raises(ValueError, match=r"--set data\.options\.label_kind=…, evaluate: --label-kind"):
        meaning(mask((0,)))
    assert meaning(mask((0,)), label_kind="binary").num_classes == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_kind": "objects"}, "label_kind among binary, classes, instances. Received 'objects'"),
        ({"num_classes": 1}, "num_classes of at least 2"),
        ({"num_classes": 3, "label_kind": "instances"}, "Expected 2 classes"),
        ({"label_kind": "instance"}, 'Did you mean "instances"'),
        ({"class_names": ("a", "b", "c")}, "Expected 2 class names"),
        ({"class_names": "ab"}, "Expected 2 class names.* Received 'ab'"),
        ({"class_names": ("cell", "cell")}, "no two alike"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        meaning(mask((0, 1)), **options)


def test_negative_and_far_apart_class_numbers_are_refused():
    with pytest.raises(ValueError, match="expected labels from 0. Received -1"):
        meaning(mask((0, -1), dtype=np.int16))
    with pytest.raises(ValueError, match="without such gaps"):
        meaning(mask((0, 1, 200)), label_kind="classes")
