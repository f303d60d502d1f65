"""The membranes of the ISBI challenge of 2012: stacks and folders, and cells as class one."""

import numpy as np
import pytest
import tifffile
from helpers.image_files import mask, save

from keras_unet.datasets import load
from keras_unet.image_io.decoding import ImageError


def test_isbi_folder_without_the_files_says_what_was_expected(tmp_path):
    with pytest.raises(ImageError, match=r"expected train-volume\.tif and .* Received no train-volume\.tif and no"):
        load("isbi2012", tmp_path)
    with pytest.raises(FileNotFoundError, match="expected train-volume"):
        load("isbi2012", tmp_path / "none")


def test_isbi_labels_of_more_than_two_values_are_refused(tmp_path):
    save(tmp_path / "train-volume.tif", np.zeros((5, 8, 8), np.uint8))
    save(tmp_path / "train-labels.tif", np.stack([mask((0, 127, 255))] * 5))
    with pytest.raises(ValueError, match=r"expected labels of 0 \(membrane\) and 255 \(cell\)"):
        load("isbi2012", tmp_path)


def test_isbi_stack_has_all_slices_in_order_and_cells_as_class_one(real_data):
    data = load("isbi2012", real_data / "isbi2012")
    volume = tifffile.imread(real_data / "isbi2012" / "train-volume.tif")
    labels = tifffile.imread(real_data / "isbi2012" / "train-labels.tif")
    assert (len(data), data.kind, data.num_classes) == (24, "classes", 2)
    assert data.class_names == ("membrane", "cell")
    for i in (0, 13, 23):
        np.testing.assert_array_equal(data[i].image[..., 0], volume[i])
        np.testing.assert_array_equal(data[i].labels, labels[i] == 255)
        assert 0.17 < (data[i].labels == 0).mean() < 0.28


def test_isbi_png_folders_hold_slices_of_the_stack(real_data):
    data = load("isbi2012", real_data / "isbi2012_png")
    stack = load("isbi2012", real_data / "isbi2012")
    assert (len(data), data.class_names) == (4, ("membrane", "cell"))
    for page in data:
        assert any(np.array_equal(page.image, s.image) and np.array_equal(page.labels, s.labels) for s in stack)
