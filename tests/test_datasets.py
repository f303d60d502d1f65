"""Data sets read from disk: layouts found, labels understood, mistakes named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_unet.datasets import LabelledImages, Sample, load
from keras_unet.datasets.labels import understand
from keras_unet.image_io import ImageError


def picture(height=8, width=8, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 200, (height, width, channels)).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack")
    else:
        Image.fromarray(pixels).save(path)


def mask(values=(0, 255), height=8, width=8, dtype=np.uint8):
    return np.resize(np.asarray(values, dtype), (height, width))


def first_pixels(count):
    """255 in the first `count` pixels of 8 x 8, row by row, else 0."""
    return np.where(np.arange(64).reshape(8, 8) < count, 255, 0).astype(np.uint8)


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


def test_stacks_of_different_length_are_refused(tmp_path):
    save(tmp_path / "a.tif", np.zeros((5, 8, 8), np.uint8))
    save(tmp_path / "a_labels.tif", np.stack([mask()] * 4))
    with pytest.raises(ValueError, match=r"a_labels\.tif: expected 5 label images, as a\.tif .* Received 4"):
        load("folder", tmp_path)


def test_folder_per_image_with_one_mask_file_per_object_gives_instances(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name / "images" / f"{name}.png", picture(channels=3))
        for i in range(3):
            save(tmp_path / name / "masks" / f"{i}.png", first_pixels(8 * i + 8) - first_pixels(8 * i))
        save(tmp_path / name / "masks" / "9.png", np.zeros((8, 8), np.uint8))
    data = load("folder", tmp_path)
    assert (len(data), data.kind, data.channels) == (2, "instances", 3)
    np.testing.assert_array_equal(data[0].labels[:, 0], [1, 2, 3, 0, 0, 0, 0, 0])


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


def pairs_of_pictures(root, count=2, label=None):
    for i in range(count):
        save(root / "images" / f"a{i}.png", picture(seed=i))
        save(root / "labels" / f"a{i}.png", mask() if label is None else label)
    return root


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


def test_nuclei_with_a_mask_file_each_give_as_many_objects(real_data):
    data = load("folder", real_data / "dsb2018")
    assert (len(data), data.kind, data.channels) == (42, "instances", 3)
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


def test_partly_labelled_sequence_names_a_frame_without_label(real_data):
    with pytest.raises(ValueError, match=r"t000\.tif: image without label. .* none for 75 of 84 images"):
        load("folder", real_data / "DIC-C2DH-HeLa", images="01", labels="01_GT/SEG")


def test_folders_of_just_the_right_names_win_over_others(tmp_path):
    for folder in ("images", "labels", "new-images", "old labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / folder / "a.png")
    assert len(load("folder", tmp_path)) == 1
