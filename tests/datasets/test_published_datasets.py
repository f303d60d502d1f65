"""Published data sets: each in the layout it was published in, with what is odd about it."""

from typing import get_args

import numpy as np
import pytest
from helpers.image_files import SIZE, save, scene, squares
from PIL import Image

from keras_unet.datasets import NAMES, load
from keras_unet.image_io.decoding import ImageError
from keras_unet.training.config import Data


def test_configuration_knows_every_data_set():
    assert sorted(get_args(Data.model_fields["name"].annotation)) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"synthetic", "shards"}))
def test_folder_of_another_layout_says_what_was_expected(tmp_path, name):
    save(tmp_path / "else" / "notes.png", scene())
    with pytest.raises(ValueError, match=r"expected .*\. Received"):
        load(name, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere: expected .*\. Received"):
        load(name, tmp_path / "nowhere")


def test_nuclei_lose_their_constant_opacity(tmp_path):
    rgba = scene(4)
    rgba[..., 3] = 255
    save(tmp_path / "stage1_train" / "a" / "images" / "a.png", rgba)
    for number, corner in enumerate([(2, 2), (20, 20)]):
        save(tmp_path / "stage1_train" / "a" / "masks" / f"{number}.png", squares(corner, dtype=np.uint8) * 255)
    data = load("dsb2018", tmp_path)
    assert (data.kind, data.channels, data.class_names) == ("instances", 3, ("background", "nucleus"))
    np.testing.assert_array_equal(data[0].labels, squares((2, 2), (20, 20)))
    assert load("dsb2018", tmp_path / "stage1_train", in_memory=False).names == data.names


def test_polyp_mask_that_went_through_jpeg_is_cut_in_the_middle(tmp_path):
    grey = squares((4, 4), side=20, dtype=np.uint8) * 255
    grey[4, 4] = 140  # neither near 0 nor near 255, as strong compression leaves it
    save(tmp_path / "images" / "a.jpg", scene(3))
    save(tmp_path / "masks" / "a.jpg", np.repeat(grey[..., None], 3, axis=2), quality=100)
    data = load("kvasir", tmp_path)
    np.testing.assert_array_equal(data[0].labels, grey >= 128)
    assert data.class_names == ("background", "polyp")


def axons(root, labels, name="sub-rat1"):
    save(root / name / "micr" / f"{name}_SEM.png", scene())
    save(root / "derivatives" / "labels" / name / "micr" / f"{name}_SEM_seg-axonmyelin-manual.png", labels)
    return root


def test_axons_and_myelin_are_classes_by_their_grey_values(tmp_path):
    grey = np.resize(np.array([0, 127, 128, 255], np.uint8), (SIZE, SIZE))
    data = load("axondeepseg", axons(tmp_path, grey))
    np.testing.assert_array_equal(data[0].labels[0, :4], [0, 1, 1, 2])
    assert data.class_names == ("background", "myelin", "axon")


def test_grey_value_that_stands_for_no_class_is_refused_by_name(tmp_path):
    with pytest.raises(ImageError, match=r"axonmyelin-manual\.png: expected label values 0, 127, 255. Received 90"):
        load("axondeepseg", axons(tmp_path, np.full((SIZE, SIZE), 90, np.uint8)))


def test_micrograph_without_label_is_named(tmp_path):
    save(axons(tmp_path, scene() * 0) / "sub-rat2" / "micr" / "b_SEM.png", scene())
    with pytest.raises(ImageError, match=r"b_SEM\.png: image without label. Expected b_SEM_seg-axonmyelin-manual\.png"):
        load("axondeepseg", tmp_path)


def test_nine_classes_of_nerve_cord_are_told_by_their_grey_values(tmp_path):
    codes = np.array([0, 32, 64, 96, 128, 159, 191, 223, 255], np.uint8)
    save(tmp_path / "stack1" / "raw" / "00.tif", scene())
    save(tmp_path / "stack1" / "labels" / "labels00000000.png", np.resize(codes[::-1], (SIZE, SIZE)))
    data = load("drosophila_vnc", tmp_path)
    np.testing.assert_array_equal(data[0].labels[0, :9], np.arange(9)[::-1])
    assert data.class_names[8] == "intracellular"
    assert data.ignore_label is None


@pytest.mark.parametrize(
    ("name", "folder", "count", "channels", "classes", "note"),
    [
        ("retina", "DRIVE", 20, 3, 2, "DRIVE, training"),
        ("retina", "CHASEDB1", 20, 3, 2, "CHASE_DB1"),
        ("retina", "STARE", 3, 3, 2, "STARE"),
        ("axondeepseg", "axondeepseg_sem", 8, 1, 3, "6 subjects"),
        ("drosophila_vnc", "drosophila_vnc", 6, 1, 9, "6 labelled sections"),
        ("kvasir", "Kvasir-SEG", 3, 3, 2, "went through JPEG"),
    ],
)
def test_published_files_are_read(real_data, name, folder, count, channels, classes, note):
    assert_read(name, real_data / folder, count, channels, classes, note)


@pytest.mark.parametrize(("count", "objects"), [(5, 186), pytest.param(42, 1842, marks=pytest.mark.slow)])
def test_published_nuclei_are_read(nuclei, count, objects):
    assert_read("dsb2018", nuclei(count), count, 3, 2, f"{objects} objects")


def assert_read(name, folder, count, channels, classes, note):
    data = load(name, folder)
    assert (len(data), data.channels, data.num_classes) == (count, channels, classes)
    assert note in " ".join(data.notes)
    in_files = load(name, folder, in_memory=False)
    np.testing.assert_array_equal(in_files[count - 1].labels, data[count - 1].labels)


def test_axons_lie_within_their_myelin(real_data):
    data = load("axondeepseg", real_data / "axondeepseg_sem")
    folder = real_data / "axondeepseg_sem" / "derivatives" / "labels" / "sub-rat1" / "micr"
    axon = np.asarray(Image.open(folder / "sub-rat1_sample-data1_SEM_seg-axon-manual.png")) > 127
    first = next(sample for sample in data if "sub-rat1_" in sample.name)
    assert (axon == (first.labels == 2)).mean() > 0.99


def test_membranes_of_the_nerve_cord_agree_with_their_own_masks(real_data):
    data = load("drosophila_vnc", real_data / "drosophila_vnc")
    membranes = np.asarray(Image.open(real_data / "drosophila_vnc" / "stack1" / "membranes" / "00.png"))
    assert (membranes.astype(bool) == (data[0].labels <= 4)).mean() > 0.95
