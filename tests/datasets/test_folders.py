"""Folders of images and labels: layouts found, published folders understood."""

from pathlib import Path

import numpy as np
import pytest
from helpers.image_files import first_pixels, mask, pairs_of_pictures, picture, save
from PIL import Image

from keras_unet.datasets import load


@pytest.mark.parametrize(
    ("images", "labels", "image_name", "label_name"),
    [
        ("images", "labels", "a{}.png", "a{}.png"),
        ("images", "masks", "a{}.jpg", "a{}.png"),
        ("image", "label", "{}.tif", "{}_mask.tif"),
        ("img", "gt", "a{}.png", "a{}_GT.png"),
        ("Raw", "Ground Truth", "t{}.tif", "man_seg{}.tif"),
        ("images", "1st_manual", "{}_training.png", "{}_manual1.png"),
        ("train/image", "train/label", "{}.png", "{}.png"),
        ("images_prepped_train", "annotations_prepped_train", "a_{}.png", "a_{}.png"),
        ("raw", "labels", "0{}.tif", "labels000{}.png"),
        ("train_images", "train_masks", "a{}.png", "a{}.png"),
        (".", ".", "x{}.tif", "x{}_labels.tif"),
    ],
)
def test_images_find_their_labels(tmp_path, images, labels, image_name, label_name):
    for i in range(1, 4):
        save(tmp_path / images / image_name.format(i), picture(seed=i))
        save(tmp_path / labels / label_name.format(i), first_pixels(i))
    data = load("folder", tmp_path)
    assert [int(s.labels.sum()) for s in data] == [1, 2, 3]
    assert data.class_names == ("background", "foreground")
    assert any("0, 255" in note for note in data.notes)


def test_files_are_taken_in_natural_order(tmp_path):
    for i in (10, 9, 1):
        save(tmp_path / "images" / f"{i}.png", picture())
        save(tmp_path / "labels" / f"{i}.png", mask())
    assert [s.name.rsplit("/")[-1] for s in load("folder", tmp_path)] == ["1.png", "9.png", "10.png"]


def test_pair_of_stacks_gives_one_sample_a_page(tmp_path):
    volume = np.stack([picture(seed=i)[..., 0] for i in range(5)])
    save(tmp_path / "train-volume.tif", volume)
    save(tmp_path / "train-labels.tif", np.stack([mask()] * 5))
    save(tmp_path / "test-volume.tif", volume)
    data = load("folder", tmp_path)
    assert len(data) == 5
    assert data[3].name.endswith("train-volume.tif, page 3")
    np.testing.assert_array_equal(data[3].image[..., 0], volume[3])


def test_folder_per_image_with_one_mask_file_per_object_gives_instances(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name / "images" / f"{name}.png", picture(channels=3))
        for i in range(3):
            save(tmp_path / name / "masks" / f"{i}.png", first_pixels(8 * i + 8) - first_pixels(8 * i))
        save(tmp_path / name / "masks" / "9.png", np.zeros((8, 8), np.uint8))
    data = load("folder", tmp_path)
    assert (len(data), data.kind, data.channels) == (2, "instances", 3)
    np.testing.assert_array_equal(data[0].labels[:, 0], [1, 2, 3, 0, 0, 0, 0, 0])


def test_explicit_folders_files_and_patterns_are_followed(tmp_path):
    for i in (1, 2):
        save(tmp_path / f"Image_{i}.png", picture(seed=i))
        save(tmp_path / f"Image_{i}_1stHO.png", mask((0, 1)))
        save(tmp_path / f"Image_{i}_2ndHO.png", mask((0,)))
    data = load("folder", tmp_path, images="Image_?.png", labels="*_1stHO.png", class_names=("rest", "vessel"))
    assert len(data) == 2
    assert data.class_names == ("rest", "vessel")
    assert data[0].labels.max() == 1
    single = load("folder", tmp_path, images="Image_1.png", labels=tmp_path / "Image_2_1stHO.png")
    assert len(single) == 1


def test_pixel_types_that_differ_are_told_with_a_file_of_each(tmp_path):
    pairs_of_pictures(tmp_path)
    assert not any("pixel type" in note for note in load("folder", tmp_path).notes)
    save(tmp_path / "images" / "a1.png", picture()[..., 0].astype(np.uint16))
    (told,) = (note for note in load("folder", tmp_path).notes if "pixel type" in note)
    images = tmp_path / "images"
    assert f"uint16 in {images / 'a1.png'}, uint8 in {images / 'a0.png'}." in told


def test_pixel_types_that_differ_are_told_of_folders_per_image_too(tmp_path):
    for name, dtype in (("one", np.uint8), ("two", np.uint16)):
        save(tmp_path / name / "images" / f"{name}.png", picture()[..., 0].astype(dtype))
        save(tmp_path / name / "masks" / "0.png", mask())
    notes = load("folder", tmp_path).notes
    assert "uint8 in" in notes[-1]
    assert "two.png" in notes[-1]


def test_folders_of_just_the_right_names_win_over_others(tmp_path):
    for folder in ("images", "labels", "new-images", "old labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / folder / "a.png")
    assert len(load("folder", tmp_path)) == 1


def test_nuclei_with_a_mask_file_each_give_as_many_objects(nuclei):
    data = load("folder", nuclei(5))
    assert (len(data), data.kind, data.channels) == (5, "instances", 3)
    for item in data:
        files = list((Path(item.name).parents[1] / "masks").iterdir())
        assert item.labels.max() == len(files)


@pytest.mark.parametrize(
    ("folder", "options", "count", "kind", "num_classes", "note"),
    [
        ("camvid_sample", {}, 5, "classes", 12, "no pixel of 7"),
        ("Kvasir-SEG", {}, 3, "classes", 2, "lossy"),
        ("STARE", {}, 3, "classes", 2, "0, 255"),
        ("DRIVE/training", {"images": "images", "labels": "1st_manual"}, 20, "classes", 2, "0, 255"),
        ("CHASEDB1", {"images": "Image_???.jpg", "labels": "*_1stHO.png"}, 20, "classes", 2, "0, 1"),
        ("drosophila_vnc/stack1", {"images": "raw", "labels": "labels"}, 6, "classes", 9, "spread evenly"),
        ("DIC-C2DH-HeLa", {"images": "01", "labels": "01_ST/SEG"}, 84, "instances", 2, "object ids"),
        ("formats/uint16", {"images": "img2d.tif", "labels": "mask2d.tif"}, 1, "instances", 2, "125 different"),
    ],
)
def test_real_folders_are_understood(real_data, folder, options, count, kind, num_classes, note):
    data = load("folder", real_data / folder, **options)
    assert (len(data), data.kind, data.num_classes) == (count, kind, num_classes)
    assert note in data.notes[-1]


def test_real_labels_of_mixed_coding_are_asked_for(real_data):
    where = {"images": "raw", "labels": "synapses"}
    with pytest.raises(ValueError, match="Received 0, 1, 227, 254, 255, which could be"):
        load("folder", real_data / "drosophila_vnc" / "stack1", **where)
    data = load("folder", real_data / "drosophila_vnc" / "stack1", label_kind="binary", **where)
    assert data.num_classes == 2
