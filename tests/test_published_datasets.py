"""Published data sets: each in the layout it was published in, with what is odd about it."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_unet.datasets import NAMES, load
from keras_unet.datasets.cell_tracking import IGNORED
from keras_unet.datasets.partial_truth import MARGIN, further_cells
from keras_unet.image_io import ImageError
from keras_unet.training.config import Data, load_config
from keras_unet.training.split import load_data, split

SIZE = 40


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", **options)
    else:
        Image.fromarray(pixels).save(path, **options)


def picture(channels=None, size=SIZE):
    shape = (size, size) if channels is None else (size, size, channels)
    return np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)


def squares(*corners, side=8, size=SIZE, dtype=np.uint16):
    """Objects 1, 2 … of `side` pixels with their upper left corners at (row, column)."""
    ids = np.zeros((size, size), dtype)
    for number, (row, column) in enumerate(corners, start=1):
        ids[row : row + side, column : column + side] = number
    return ids


def sequence(root, name="01", frames=3, gold=None, silver=None, markers=None):
    """The Cell Tracking Challenge's layout; masks as dictionaries from frame number to ids."""
    for number in range(frames):
        save(root / name / f"t{number:03d}.tif", picture())
    layout = (
        (f"{name}_GT/SEG/man_seg", gold),
        (f"{name}_ST/SEG/man_seg", silver),
        (f"{name}_GT/TRA/man_track", markers),
    )
    for prefix, masks in layout:
        for number, ids in (masks or {}).items():
            save(root / f"{prefix}{number:03d}.tif", ids)
    return root


def test_configuration_knows_every_data_set():
    assert sorted(get_args(Data.model_fields["name"].annotation)) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"synthetic", "shards"}))
def test_folder_of_another_layout_says_what_was_expected(tmp_path, name):
    save(tmp_path / "else" / "notes.png", picture())
    with pytest.raises(ValueError, match=r"expected .*\. Received"):
        load(name, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere: expected .*\. Received"):
        load(name, tmp_path / "nowhere")


# Which cells a mask leaves out.


def test_truth_of_all_objects_leaves_out_none():
    truth = squares((2, 2), (20, 20)).astype(np.int32)
    count, where = further_cells(truth, truth * 7, (truth == 2).astype(np.int32))
    assert count == 0
    assert not where.any()


def test_silver_object_without_a_true_one_is_left_out_with_a_margin():
    truth = squares((2, 2)).astype(np.int32)
    count, where = further_cells(truth, squares((2, 2), (20, 20)).astype(np.int32), None)
    assert count == 1
    assert where[20:28, 20:28].all()
    assert where[20, 20 - int(MARGIN)]
    assert not where[20, 20 - int(MARGIN) - 1]
    assert not where[:14].any()


def test_drawn_pixels_are_never_left_out():
    truth = squares((20, 10)).astype(np.int32)
    count, where = further_cells(truth, squares((20, 10), (20, 18)).astype(np.int32), None)
    assert count == 1
    assert not where[truth > 0].any()
    assert where[20:28, 18:26].all()


@pytest.mark.parametrize(("columns_drawn", "missed"), [(4, 0), (3, 1)])
def test_object_counts_as_drawn_from_half_of_its_pixels_on(columns_drawn, missed):
    silver = squares((20, 20)).astype(np.int32)
    truth = np.where(np.arange(SIZE) < 20 + columns_drawn, silver, 0)
    assert further_cells(truth, silver, None)[0] == missed


def test_marker_alone_leaves_out_pixels_within_half_the_longest_side():
    truth = squares((0, 0), side=12).astype(np.int32)
    marker = np.zeros_like(truth)
    marker[30, 30] = 9
    count, where = further_cells(truth, None, marker)
    assert count == 1
    assert where[30, 24]
    assert where[30, 36]
    assert not where[30, 23]


def test_marker_of_a_silver_object_adds_nothing_to_it():
    truth, silver = squares((2, 2)).astype(np.int32), squares((20, 20)).astype(np.int32)
    marker = squares((22, 22), side=3).astype(np.int32)
    with_marker, alone = further_cells(truth, silver, marker), further_cells(truth, silver, None)
    assert with_marker[0] == alone[0] == 1
    np.testing.assert_array_equal(with_marker[1], alone[1])


def test_mask_without_any_object_is_background_nowhere_if_there_are_markers():
    nothing = np.zeros((SIZE, SIZE), np.int32)
    count, where = further_cells(nothing, None, squares((20, 20), side=3).astype(np.int32))
    assert count == 1
    assert where.all()
    assert not further_cells(nothing, None, nothing)[1].any()


# Cell Tracking Challenge.


def test_gold_truth_reads_the_frames_that_have_it(tmp_path):
    ids = squares((2, 2), (20, 20))
    data = load("cell_tracking", sequence(tmp_path, frames=4, gold={1: ids, 3: ids}))
    assert [Path(name).name for name in data.names] == ["t001.tif", "t003.tif"]
    assert (data.kind, data.num_classes, data.ignore_label) == ("instances", 2, None)
    np.testing.assert_array_equal(data[1].labels, ids)
    assert any("neither silver truth nor markers" in note for note in data.notes)


def test_unlabelled_pixels_of_a_partly_labelled_frame_are_ignored(tmp_path):
    one, both = squares((2, 2)), squares((20, 20), (2, 2))
    data = load("cell_tracking", sequence(tmp_path, gold={0: one, 2: both}, silver={0: both, 1: both, 2: both}))
    assert data.ignore_label == IGNORED
    assert (data[0].labels[20:28, 20:28] == IGNORED).all()
    np.testing.assert_array_equal(data[0].labels == 1, one == 1)
    assert data[0].labels[39, 0] == 0
    assert (data[1].labels >= 0).all()
    assert any("leaves out 1 cells in 1 frames: t000 (1)" in note for note in data.notes)


def test_gold_and_silver_truth_reads_every_frame_gold_where_there_is_some(tmp_path):
    gold, silver = squares((3, 3)), squares((2, 2))
    root = sequence(tmp_path, gold={1: gold}, silver=dict.fromkeys(range(3), silver))
    data = load("cell_tracking", root, truth="gold_and_silver")
    for sample, expected in zip(data, (silver, gold, silver), strict=True):
        np.testing.assert_array_equal(sample.labels, expected)
    assert "1 with gold truth and 2 with silver truth of 3 frames" in data.notes[1]
    for sample in load("cell_tracking", root, truth="silver"):
        np.testing.assert_array_equal(sample.labels, silver)


def test_cell_that_silver_truth_leaves_out_is_ignored_about_its_marker(tmp_path):
    silver, markers = squares((2, 2)), squares((4, 4), (30, 30), side=2)
    root = sequence(tmp_path, frames=1, silver={0: silver}, markers={0: markers})
    (sample,) = load("cell_tracking", root, truth="silver")
    assert sample.labels[30, 30] == sample.labels[30, 26] == IGNORED
    assert sample.labels[30, 25] == 0


def test_frames_are_read_by_their_numbers_and_sequences_by_their_names(tmp_path):
    ids = dict.fromkeys((0, 2), squares((2, 2)))
    for name in ("01", "02"):
        sequence(tmp_path, name, gold=ids)
    data = load("cell_tracking", tmp_path, frames=[2])
    assert [Path(name).parts[-2:] for name in data.names] == [("01", "t002.tif"), ("02", "t002.tif")]
    assert len(load("cell_tracking", tmp_path, sequences="02")) == 2
    assert len(load("cell_tracking", tmp_path, sequences=["01", "02"])) == 4


def test_sequence_without_the_truth_is_left_out_unless_it_is_asked_for(tmp_path):
    sequence(tmp_path, "01", gold={0: squares((2, 2))})
    sequence(tmp_path, "02")
    assert len(load("cell_tracking", tmp_path)) == 1
    with pytest.raises(ImageError, match=r"expected gold truth man_seg000\.tif … in 02_GT/SEG. Received none"):
        load("cell_tracking", tmp_path, sequences=["01", "02"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truth": "bronze"}, "Expected truth among gold, silver, gold_and_silver. Received 'bronze'"),
        ({"sequences": "03"}, "expected sequences among 01. Received '03'"),
        ({"sequences": []}, "expected sequences among 01. Received none"),
        ({"truth": "silver"}, r"expected silver truth man_seg000\.tif … in 01_ST/SEG. Received none"),
        ({"frames": "0-2"}, r"Expected frames as a list of numbers such as \[39, 54, 67\]. Received '0-2'"),
        ({"frames": [7]}, r"Sequence 01: expected an image t….tif for frame 7. Received frames 0 to 2"),
        ({"frames": [0, 1]}, r"t001\.tif: image without label. Expected a gold truth .* for frame 1. .* 1 of 2 frames"),
        ({"truth": "gold_and_silver"}, r"t001\.tif: image without label. Expected a gold or silver truth"),
    ],
)
def test_option_that_does_not_fit_the_sequence_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        load("cell_tracking", sequence(tmp_path, gold={0: squares((2, 2))}), **options)


def test_mask_missing_in_silver_truth_is_named(tmp_path):
    root = sequence(tmp_path, silver=dict.fromkeys((0, 2), squares((2, 2))))
    with pytest.raises(ImageError, match=r"t001\.tif: image without label. .* frame 1. Received none for 1 of 3"):
        load("cell_tracking", root, truth="silver")


def test_mask_without_a_frame_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"expected an image t….tif for frame 5. Received frames 0 to 2"):
        load("cell_tracking", sequence(tmp_path, gold={5: squares((2, 2))}))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"gold": {0: -squares((2, 2), dtype=np.int16)}}, r"man_seg000\.tif: expected object ids from 0 .*Received -1"),
        ({"gold": {0: squares((2, 2), dtype=np.float32)}}, r"man_seg000\.tif: expected labels that are integers"),
        ({"gold": {0: squares((2, 2), size=41)}}, r"t000\.tif: image and labels differ in size"),
        (
            {"gold": {0: squares((2, 2))}, "markers": {0: squares((2, 2), size=41)}},
            r"man_track000\.tif: expected a mask of \(40, 40\) .* Received \(41, 41\)",
        ),
    ],
)
def test_unusable_mask_is_refused_by_name(tmp_path, masks, message):
    with pytest.raises(ValueError, match=message):
        load("cell_tracking", sequence(tmp_path, **masks))


def test_masks_of_a_volume_are_refused_as_such(tmp_path):
    save(sequence(tmp_path) / "01_GT" / "SEG" / "man_seg_000_002.tif", squares((2, 2)))
    with pytest.raises(ImageError, match="belong to volumes, which are not read"):
        load("cell_tracking", tmp_path)


def test_gold_frame_of_hela_cells_that_labels_3_of_18_is_ignored_at_the_others(real_data):
    data = load("cell_tracking", real_data / "DIC-C2DH-HeLa", frames=[54, 67])
    whole, partial = data[0].labels, data[1].labels
    assert (whole >= 0).all()
    assert len(np.unique(partial[partial > 0])) == 3
    silver = tifffile.imread(real_data / "DIC-C2DH-HeLa" / "01_ST" / "SEG" / "man_seg067.tif")
    others = np.setdiff1d(np.unique(silver), np.unique(silver[partial > 0]))
    assert (partial[np.isin(silver, others[others > 0])] != 0).all()
    assert any("15 cells in 1 frames: t067 (15)" in note for note in data.notes)


def test_two_hela_cells_that_silver_truth_leaves_out_are_not_background(real_data):
    (sample,) = load("cell_tracking", real_data / "DIC-C2DH-HeLa", truth="silver", frames=[28])
    markers = tifffile.imread(real_data / "DIC-C2DH-HeLa" / "01_GT" / "TRA" / "man_track028.tif")
    assert (sample.labels[np.isin(markers, (11, 23))] == IGNORED).all()


def test_frames_of_hela_cells_are_samples_of_the_same_numbers(real_data):
    data = load("cell_tracking", real_data / "DIC-C2DH-HeLa", sequences=["01"], truth="gold_and_silver")
    assert [Path(name).name for name in data.names] == [f"t{number:03d}.tif" for number in range(84)]
    for number in (39, 54, 67):
        gold = tifffile.imread(real_data / "DIC-C2DH-HeLa" / "01_GT" / "SEG" / f"man_seg{number:03d}.tif")
        np.testing.assert_array_equal(data[number].labels.clip(0), gold)


@pytest.mark.parametrize("preset", ["dic-hela", "dic-hela-small"])
def test_presets_validate_on_gold_frames_that_they_do_not_train_on(real_data, preset):
    settings = load_config(preset, [f"data.path={real_data / 'DIC-C2DH-HeLa'}"]).data
    parts = split(load_data(settings), settings)
    assert [Path(name).stem for name in parts.train.names] == [f"t{number:03d}" for number in range(35)]
    assert parts.validate is not None
    for sample in parts.validate:
        gold = Path(sample.name).parents[1] / "01_GT" / "SEG" / Path(sample.name).name.replace("t", "man_seg", 1)
        np.testing.assert_array_equal(sample.labels.clip(0), tifffile.imread(gold))


def test_preset_of_phase_contrast_learns_from_silver_and_is_judged_by_gold(real_data):
    settings = load_config("phc", [f"data.path={real_data / 'PhC-C2DL-PSC'}"]).data
    parts = split(load_data(settings), settings)
    assert [Path(name).stem for name in parts.train.names] == [f"t{number}" for number in range(150, 251, 10)]
    assert parts.validate is not None
    assert [Path(name).stem for name in parts.validate.names] == ["t098", "t122"]
    for part, truth in ((parts.train, "01_ST"), (parts.validate, "01_GT")):
        for sample in part:
            mask = Path(sample.name).parents[1] / truth / "SEG" / Path(sample.name).name.replace("t", "man_seg", 1)
            np.testing.assert_array_equal(sample.labels.clip(0), tifffile.imread(mask))


def test_preset_of_nuclei_keeps_a_fifth_of_the_images_for_validation(real_data):
    settings = load_config("dsb2018-small", [f"data.path={real_data / 'dsb2018'}"]).data
    parts = split(load_data(settings), settings)
    assert parts.validate is not None
    assert (len(parts.train), len(parts.validate)) == (33, 9)
    assert not set(parts.train.names) & set(parts.validate.names)


def test_sparse_gold_truth_of_fluorescent_nuclei_ignores_the_rest(real_data):
    data = load("cell_tracking", real_data / "Fluo-N2DL-HeLa")
    silver = load("cell_tracking", real_data / "Fluo-N2DL-HeLa", truth="silver")
    for gold, dense in zip(data, silver, strict=True):
        assert ((gold.labels == 0) & (dense.labels > 0)).mean() < 0.01
    assert (data[3].labels >= 0).all()


# Nuclei, polyps, axons, neurons.


def test_nuclei_lose_their_constant_opacity(tmp_path):
    rgba = picture(4)
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
    save(tmp_path / "images" / "a.jpg", picture(3))
    save(tmp_path / "masks" / "a.jpg", np.repeat(grey[..., None], 3, axis=2), quality=100)
    data = load("kvasir", tmp_path)
    np.testing.assert_array_equal(data[0].labels, grey >= 128)
    assert data.class_names == ("background", "polyp")


def axons(root, labels, name="sub-rat1"):
    save(root / name / "micr" / f"{name}_SEM.png", picture())
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
    save(axons(tmp_path, picture() * 0) / "sub-rat2" / "micr" / "b_SEM.png", picture())
    with pytest.raises(ImageError, match=r"b_SEM\.png: image without label. Expected b_SEM_seg-axonmyelin-manual\.png"):
        load("axondeepseg", tmp_path)


def test_nine_classes_of_nerve_cord_are_told_by_their_grey_values(tmp_path):
    codes = np.array([0, 32, 64, 96, 128, 159, 191, 223, 255], np.uint8)
    save(tmp_path / "stack1" / "raw" / "00.tif", picture())
    save(tmp_path / "stack1" / "labels" / "labels00000000.png", np.resize(codes[::-1], (SIZE, SIZE)))
    data = load("drosophila_vnc", tmp_path)
    np.testing.assert_array_equal(data[0].labels[0, :9], np.arange(9)[::-1])
    assert data.class_names[8] == "intracellular"
    assert data.ignore_label is None


# Retinal vessels.


def drive(root, part="training", manuals=("1st_manual/21_manual1",), values=(0, 255)):
    folder = root / part
    word = part.split("/")[-1]
    vessels = np.where(np.arange(SIZE)[:, None] < 10, values[1], values[0]).astype(np.uint8) + np.zeros(SIZE, np.uint8)
    save(folder / "images" / f"21_{word}.tif", picture(3))
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
    save(tmp_path / "Image_01L.jpg", picture(3))
    for who, count in (("1st", 10), ("2nd", 20)):
        save(tmp_path / f"Image_01L_{who}HO.png", np.tile(np.arange(SIZE) < count, (SIZE, 1)))
    for observer, count in ((1, 10), (2, 20)):
        data = load("retina", tmp_path, observer=observer)
        assert data[0].labels.sum() == count * SIZE
        assert data.ignore_label is None
        assert "no field-of-view masks" in data.notes[1]


def test_pixels_on_which_observers_differ_are_ignored_if_asked(tmp_path):
    save(tmp_path / "Image_01L.jpg", picture(3))
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


def test_observers_of_chase_differ_on_real_vessels(real_data):
    agreed = load("retina", real_data / "CHASEDB1", observer="agreed", in_memory=False)[0].labels
    first, second = (load("retina", real_data / "CHASEDB1", observer=who, in_memory=False)[0].labels for who in (1, 2))
    np.testing.assert_array_equal(agreed == 255, first != second)
    np.testing.assert_array_equal(agreed == 1, (first == 1) & (second == 1))


def test_observers_of_stare_are_told_by_their_folders(tmp_path):
    save(tmp_path / "stare-images" / "im0001.ppm", picture(3))
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


@pytest.mark.parametrize(
    ("name", "folder", "count", "channels", "classes", "note"),
    [
        ("dsb2018", "dsb2018", 42, 3, 2, "1842 objects"),
        ("retina", "DRIVE", 20, 3, 2, "DRIVE, training"),
        ("retina", "CHASEDB1", 20, 3, 2, "CHASE_DB1"),
        ("retina", "STARE", 3, 3, 2, "STARE"),
        ("axondeepseg", "axondeepseg_sem", 8, 1, 3, "6 subjects"),
        ("drosophila_vnc", "drosophila_vnc", 6, 1, 9, "6 labelled sections"),
        ("kvasir", "Kvasir-SEG", 3, 3, 2, "went through JPEG"),
    ],
)
def test_published_files_are_read(real_data, name, folder, count, channels, classes, note):
    data = load(name, real_data / folder)
    assert (len(data), data.channels, data.num_classes) == (count, channels, classes)
    assert note in " ".join(data.notes)
    in_files = load(name, real_data / folder, in_memory=False)
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
