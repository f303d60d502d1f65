"""The Cell Tracking Challenge's sequences: gold and silver truth, frames by number, cells that a mask leaves out."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.image_files import save, scene, squares

from keras_unet.datasets import load
from keras_unet.datasets.published.cell_tracking import IGNORED
from keras_unet.image_io.decoding import ImageError


def sequence(root, name="01", frames=3, gold=None, silver=None, markers=None):
    """The Cell Tracking Challenge's layout; masks as dictionaries from frame number to ids."""
    for number in range(frames):
        save(root / name / f"t{number:03d}.tif", scene())
    layout = (
        (f"{name}_GT/SEG/man_seg", gold),
        (f"{name}_ST/SEG/man_seg", silver),
        (f"{name}_GT/TRA/man_track", markers),
    )
    for prefix, masks in layout:
        for number, ids in (masks or {}).items():
            save(root / f"{prefix}{number:03d}.tif", ids)
    return root


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


def test_sparse_gold_truth_of_fluorescent_nuclei_ignores_the_rest(real_data):
    data = load("cell_tracking", real_data / "Fluo-N2DL-HeLa")
    silver = load("cell_tracking", real_data / "Fluo-N2DL-HeLa", truth="silver")
    for gold, dense in zip(data, silver, strict=True):
        assert ((gold.labels == 0) & (dense.labels > 0)).mean() < 0.01
    assert (data[3].labels >= 0).all()
