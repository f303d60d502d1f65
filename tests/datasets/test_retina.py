"""Retinal vessels: fields of view, observers and where they differ, in the layouts of DRIVE, CHASE_DB1 and STARE."""

import numpy as np
import pytest
from helpers.image_files import SIZE, save, scene, squares
from PIL import Image

from keras_unet.datasets import load
from keras_unet.image_io.decoding import ImageError


def drive(root, part="training", manuals=("1st_manual/21_manual1",), values=(0, 255)):
    folder = root / part
    word = part.split("/")[-1]
    vessels = np.where(np.arange(SIZE)[:, None] < 10, values[1], values[0]).astype(np.uint8) + np.zeros(SIZE, np.uint8)
    save(folder / "images" / f"21_{word}.tif", scene(3))
    save(folder / "mask" / f"21_{word}_mask.gif", np.where(np.arange(SIZE) < 30, 255, 0).astype(np.uint8) + vessels * 0)
    for manual in manuals:
        save(folder / f"{manual}.gif", vessels)
    return root


def test_pixels_outside_the_field_of_view_are_ignored(tmp_path):
    data = load("retina", drive(tmp_path))
    assert data.ignore_label == 255
    assert (data[0].labels[:, 30:] == 255).all()
    np.testing.assert_array_equal(data[0].labels[:, 0], np.arange(SIZE) < 10)
    assert data.notes[0] == "DRIVE, training: 1 labelled images, 1st observer."


def test_second_observer_of_drive_is_in_its_test_folder_with_values_0_and_1(tmp_path):
    drive(tmp_path)
    drive(tmp_path, "test", ("1st_manual/21_manual1", "2nd_manual/21_manual2"), values=(0, 1))
    assert set(np.unique(load("retina", tmp_path / "test", observer=2)[0].labels)) == {0, 1, 255}
    with pytest.raises(ImageError, match="2nd_manual/. Received none: the second observer drew the test images only"):
        load("retina", tmp_path, observer=2)


def test_missing_field_of_view_is_named(tmp_path):
    (drive(tmp_path) / "training" / "mask" / "21_training_mask.gif").unlink()
    with pytest.raises(
        ImageError, match=r"21_training\.tif: .* Expected 21_training_mask\.gif in .*mask. Received none"
    ):
        load("retina", tmp_path)


def test_observers_of_chase_are_told_by_their_files(tmp_path):
    save(tmp_path / "Image_01L.jpg", scene(3))
    for who, count in (("1st", 10), ("2nd", 20)):
        save(tmp_path / f"Image_01L_{who}HO.png", np.tile(np.arange(SIZE) < count, (SIZE, 1)))
    for observer, count in ((1, 10), (2, 20)):
        data = load("retina", tmp_path, observer=observer)
        assert data[0].labels.sum() == count * SIZE
        assert data.ignore_label is None
        assert "no field-of-view masks" in data.notes[1]


def test_pixels_on_which_observers_differ_are_ignored_if_asked(tmp_path):
    save(tmp_path / "Image_01L.jpg", scene(3))
    for who, count in (("1st", 10), ("2nd", 20)):
        save(tmp_path / f"Image_01L_{who}HO.png", np.tile(np.arange(SIZE) < count, (SIZE, 1)))
    data = load("retina", tmp_path, observer="agreed")
    expected = np.where(np.arange(SIZE) < 10, 1, np.where(np.arange(SIZE) < 20, 255, 0))
    np.testing.assert_array_equal(data[0].labels, np.tile(expected, (SIZE, 1)))
    assert data.ignore_label == 255
    assert data.notes[0] == "CHASE_DB1: 1 labelled images, both observers."


def test_observers_of_drive_agree_within_the_field_of_view(tmp_path):
    drive(tmp_path, "test", ("1st_manual/21_manual1", "2nd_manual/21_manual2"))
    labels = load("retina", tmp_path / "test", observer="agreed")[0].labels
    np.testing.assert_array_equal(labels, load("retina", tmp_path / "test")[0].labels)


def test_observers_of_chase_differ_on_real_vessels(real_data, tmp_path):
    for file in (real_data / "CHASEDB1").glob("Image_01L*"):
        (tmp_path / file.name).symlink_to(file)
    first, second, agreed = (load("retina", tmp_path, observer=who)[0].labels for who in (1, 2, "agreed"))
    np.testing.assert_array_equal(agreed == 255, first != second)
    np.testing.assert_array_equal(agreed == 1, (first == 1) & (second == 1))


def test_observers_of_stare_are_told_by_their_folders(tmp_path):
    save(tmp_path / "stare-images" / "im0001.ppm", scene(3))
    save(tmp_path / "labels-ah" / "im0001.ah.ppm", squares((2, 2), dtype=np.uint8) * 255)
    assert load("retina", tmp_path)[0].labels.sum() == 64
    with pytest.raises(ImageError, match=r"im0001\.ppm: image without label. Expected im0001\.vk\.ppm in .*labels-vk"):
        load("retina", tmp_path, observer=2)


def test_packed_images_of_stare_are_to_be_unpacked(tmp_path):
    (tmp_path / "stare-images").mkdir()
    (tmp_path / "stare-images" / "im0001.ppm.gz").write_bytes(b"")
    with pytest.raises(ImageError, match=r"expected im0001\.ppm .* Received none: unpack the \.gz files"):
        load("retina", tmp_path)


@pytest.mark.parametrize("observer", [0, 3, "1st", True])
def test_observer_that_never_was_is_refused(tmp_path, observer):
    with pytest.raises(ValueError, match='Expected observer 1 or 2, or "agreed". Received'):
        load("retina", tmp_path, observer=observer)


def test_vessel_mask_of_other_values_is_refused(tmp_path):
    drawn = drive(tmp_path) / "training" / "1st_manual" / "21_manual1.gif"
    Image.fromarray(squares((2, 2), dtype=np.uint8) * 7).save(drawn, format="PNG")
    with pytest.raises(ImageError, match=r"21_manual1\.gif: expected a mask of 0 and 1, .* 0 and 255. Received 0, 7"):
        load("retina", tmp_path)
