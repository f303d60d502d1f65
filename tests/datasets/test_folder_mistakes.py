"""Folders that cannot be read as a data set: what was expected, and the file that is wrong."""

import numpy as np
import pytest
from helpers.image_files import mask, pairs_of_pictures, picture, save

from keras_unet.datasets import load
from keras_unet.image_io.decoding import ImageError


def test_stacks_of_different_length_are_refused(tmp_path):
    save(tmp_path / "a.tif", np.zeros((5, 8, 8), np.uint8))
    save(tmp_path / "a_labels.tif", np.stack([mask()] * 4))
    with pytest.raises(ValueError, match=r"a_labels\.tif: expected 5 label images, as a\.tif .* Received 4"):
        load("folder", tmp_path)


def test_object_mask_of_another_size_is_refused(tmp_path):
    save(tmp_path / "a" / "images" / "a.png", picture())
    save(tmp_path / "a" / "masks" / "0.png", mask(height=9))
    with pytest.raises(ValueError, match=r"0\.png: image and labels differ.* Expected 8 x 8 .* Received 9 x 8"):
        load("folder", tmp_path)


def test_image_without_object_masks_is_refused(tmp_path):
    save(tmp_path / "a" / "images" / "a.png", picture())
    (tmp_path / "a" / "masks").mkdir()
    with pytest.raises(ImageError, match=r"masks: image without label"):
        load("folder", tmp_path)


def test_missing_folder_says_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none: expected images and labels: .* Received no such folder"):
        load("folder", tmp_path / "none")


def test_empty_folders_say_what_was_expected(tmp_path):
    with pytest.raises(ValueError, match=r"expected images and labels: .* Received an empty folder"):
        load("folder", tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(ValueError, match=r"images: expected image files .* Received none"):
        load("folder", tmp_path)


def test_image_without_label_is_named(tmp_path):
    save(pairs_of_pictures(tmp_path) / "images" / "lonely.png", picture())
    with pytest.raises(ValueError, match=r"lonely\.png: image without label. .*labels\. Received none for 1 of 3"):
        load("folder", tmp_path)


def test_label_without_image_is_named(tmp_path):
    save(pairs_of_pictures(tmp_path) / "labels" / "lonely.png", mask())
    with pytest.raises(ValueError, match=r"lonely\.png: label without image. .*images\. Received none for 1 of 3"):
        load("folder", tmp_path)


def test_several_label_folders_are_for_the_user_to_choose_from(tmp_path):
    save(pairs_of_pictures(tmp_path) / "mask" / "a0.png", mask())
    with pytest.raises(ValueError, match="expected one folder of labels. Received labels, mask: choose by the options"):
        load("folder", tmp_path)
    assert len(load("folder", tmp_path, images="images", labels="labels")) == 2


def test_one_option_of_two_is_refused(tmp_path):
    with pytest.raises(ValueError, match="both options, images and labels"):
        load("folder", pairs_of_pictures(tmp_path), images="images")
    with pytest.raises(ImageError, match=r"none: expected a folder, file or pattern .* Received nothing of that name"):
        load("folder", tmp_path, images="images", labels="none")


def test_sizes_that_differ_are_named(tmp_path):
    pairs_of_pictures(tmp_path, label=mask(height=9))
    with pytest.raises(ValueError, match=r"a0\.png: image and labels differ in size. .* 8 x 8 .* Received 9 x 8"):
        load("folder", tmp_path)


def test_damaged_and_unfit_files_of_a_data_set_are_named(tmp_path):
    pairs_of_pictures(tmp_path)
    whole = (tmp_path / "images" / "a1.png").read_bytes()
    (tmp_path / "images" / "a1.png").write_bytes(whole[:-30])
    with pytest.raises(ImageError, match=r"images.a1\.png: expected a complete image"):
        load("folder", tmp_path)
    (tmp_path / "images" / "a1.png").unlink()
    save(tmp_path / "images" / "a1.tif", np.full((8, 8), np.nan, np.float32))
    with pytest.raises(ImageError, match=r"a1\.tif: expected finite pixel values"):
        load("folder", tmp_path)
    save(tmp_path / "images" / "a1.tif", picture())
    (tmp_path / "labels" / "a1.png").unlink()
    save(tmp_path / "labels" / "a1.tif", mask().astype(np.float32))
    with pytest.raises(ImageError, match=r"a1\.tif: expected labels that are integers. Received float32"):
        load("folder", tmp_path)


def test_grey_and_colour_images_in_one_set_are_refused(tmp_path):
    save(pairs_of_pictures(tmp_path) / "images" / "a1.png", picture(channels=3))
    with pytest.raises(ValueError, match=r"a1\.png: channel counts differ"):
        load("folder", tmp_path)


@pytest.mark.parametrize(("wrong", "near"), [("fodler", "folder"), ("isbi", "isbi2012"), ("synthetc", "synthetic")])
def test_unknown_data_set_suggests_the_nearest_name(wrong, near):
    with pytest.raises(ValueError, match=rf'Received {wrong!r}\. Did you mean "{near}"\?'):
        load(wrong)


def test_data_set_on_disk_needs_a_path():
    with pytest.raises(ValueError, match='Expected a path to the files of data set "folder"'):
        load("folder")


def test_partly_labelled_sequence_names_a_frame_without_label(real_data):
    with pytest.raises(ValueError, match=r"t000\.tif: image without label. .* none for 75 of 84 images"):
        load("folder", real_data / "DIC-C2DH-HeLa", images="01", labels="01_GT/SEG")
