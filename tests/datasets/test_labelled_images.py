"""Labelled images in memory: samples and descriptions that do not fit are refused by name."""

import numpy as np
import pytest
from helpers.image_files import mask, picture

from keras_unet.datasets import LabelledImages, Sample


def sample(name="a.png", image=None, labels=None):
    return Sample(
        name, picture() if image is None else image, mask((0, 1)).astype(np.int32) if labels is None else labels
    )


def classes(*samples, num_classes=2, ignore_label=None):
    names = tuple(f"class {i}" for i in range(num_classes))
    return LabelledImages(samples, "classes", num_classes, names, ignore_label)


def test_labels_are_stored_as_int32():
    assert sample(labels=mask((0, 1), dtype=np.uint16)).labels.dtype == np.int32


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (picture(8, 9), None, r"a\.png: image and labels differ in size. Expected labels of 8 x 9 .* Received 8 x 8"),
        (picture()[..., 0], None, r"a\.png: expected an image \(height, width, channels\). Received shape \(8, 8\)"),
        (picture(0, 8), None, r"a\.png: expected an image of at least 1 x 1 pixels. Received shape \(0, 8, 1\)"),
        (np.full((8, 8, 1), np.nan), None, r"a\.png: expected finite pixel values. Received 64 "),
        (np.full((8, 8, 1), np.inf), None, "expected finite pixel values"),
        (np.full((8, 8, 1), 1j), None, "pixels that are real numbers. Received complex128"),
        (None, mask((0, 1)).astype(float), r"a\.png: expected labels that are integers. Received float64"),
        (None, mask((0, 1))[..., None], r"expected labels \(height, width\). Received shape \(8, 8, 1\)"),
        (None, mask((0, 2**32), dtype=np.int64), "expected labels up to 2147483647"),
    ],
)
def test_unusable_sample_is_refused_by_name(image, labels, message):
    with pytest.raises(ValueError, match=message):
        sample(image=image, labels=labels)


@pytest.mark.parametrize("value", [2, -1, 255])
def test_labels_outside_the_classes_are_refused_by_name(value):
    with pytest.raises(ValueError, match=rf"b\.png: labels outside.* Expected classes 0 to 1\. Received {value}"):
        classes(sample(), sample("b.png", labels=mask((0, value), dtype=np.int32)))


def test_ignored_label_may_lie_outside_the_classes():
    assert len(classes(sample(labels=mask((0, 1, 255))), ignore_label=255)) == 1


def test_negative_instance_ids_are_refused():
    with pytest.raises(ValueError, match="Expected instance ids from 0. Received -3"):
        LabelledImages((sample(labels=mask((0, -3), dtype=np.int32)),), "instances", 2, ("background", "cell"))


def test_channel_counts_that_differ_are_refused_by_name():
    with pytest.raises(ValueError, match=r"b\.png: channel counts differ.* Expected 1 as a\.png has. Received 3"):
        classes(sample(), sample("b.png", picture(channels=3)))


def test_description_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="at least one labelled image"):
        classes()
    with pytest.raises(ValueError, match='kind "classes" or "instances"'):
        LabelledImages((sample(),), "objects", 2, ("a", "b"))
    with pytest.raises(ValueError, match="2 classes for instances"):
        LabelledImages((sample(),), "instances", 3, ("a", "b", "c"))
    with pytest.raises(ValueError, match="Expected 2 class names"):
        LabelledImages((sample(),), "classes", 2, ("a",))


def test_subset_takes_positions_in_the_order_given():
    data = classes(*(sample(f"{i}.png", picture(seed=i)) for i in range(4)))
    assert [s.name for s in data.subset([3, 1])] == ["3.png", "1.png"]
    with pytest.raises(ValueError, match="Expected sample indices from 0 to 3. Received 4"):
        data.subset([0, 4])
    with pytest.raises(ValueError, match="at least one"):
        data.subset([])


def test_value_range_spans_all_images():
    low, high = np.full((8, 8, 1), 32978, np.uint16), np.full((8, 8, 1), 36863, np.uint16)
    assert classes(sample(image=high), sample(image=low)).value_range == (32978.0, 36863.0)
