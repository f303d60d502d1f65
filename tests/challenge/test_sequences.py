"""The Cell Tracking Challenge's folders: which mask belongs to which frame, and what cannot be measured."""

import numpy as np
import pytest
import tifffile

from keras_unet.challenge import det_of_sequence, seg_of_sequence


def write_masks(folder, masks):
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in masks.items():
        tifffile.imwrite(folder / name, np.asarray(labels, np.uint16), photometric="minisblack")


def test_sequences_are_read_by_frame_whatever_the_digits_and_the_result_folder(tmp_path):
    cell, nothing = [[1, 1], [0, 0]], [[0, 0], [0, 0]]
    write_masks(tmp_path / "02_GT/SEG", {"man_seg0003.tif": cell, "man_seg0010.tif": cell})
    write_masks(tmp_path / "02_GT/TRA", {"man_track0003.tif": cell, "man_track0010.tif": cell})
    masks = {"mask0003.tif": nothing, "mask0007.tif": cell, "mask0010.tif": cell}
    write_masks(tmp_path / "02_RES", masks)
    assert seg_of_sequence(tmp_path, "02") == 0.5
    assert det_of_sequence(tmp_path, "02") == 0.5
    write_masks(tmp_path / "elsewhere", masks | {"mask0003.tif": cell})
    assert seg_of_sequence(tmp_path, "02", tmp_path / "elsewhere") == 1
    assert det_of_sequence(tmp_path, "02", tmp_path / "elsewhere") == 1


REFERENCE = {"man_seg000.tif": [[1, 1]], "man_seg001.tif": [[1, 1]]}


@pytest.mark.parametrize(
    ("reference", "masks", "error", "message"),
    [
        ({}, {"mask000.tif": [[1, 1]]}, FileNotFoundError, "01_GT/SEG: expected files such as man_seg000.tif"),
        (REFERENCE, {"mask000.tif": [[1, 1]]}, FileNotFoundError, "mask001.tif: expected a mask for man_seg001.tif"),
        (REFERENCE, {}, FileNotFoundError, "01_RES: expected a folder.*no such folder"),
        (
            {"man_seg000.tif": [[1, 1]]},
            {"mask000.tif": [[1], [1]]},
            ValueError,
            r"mask000.tif: expected the size of man_seg000.tif, \(1, 2\). Received \(2, 1\)",
        ),
        ({"man_seg000.tif": [[0, 0]]}, {"mask000.tif": [[1, 1]]}, ValueError, "at least one reference object"),
        (
            {"man_seg_000_003.tif": [[1, 1]]},
            {"mask000.tif": [[1, 1]]},
            ValueError,
            "man_seg_000_003.tif: expected one file per frame.*plane of a volume",
        ),
        ({"man_seg000.tif": np.ones((7, 4, 5))}, {"mask000.tif": [[1, 1]]}, ValueError, "man_seg000.tif.*stack of 7"),
    ],
    ids=["no reference", "no mask", "no result", "size", "no object", "plane of a volume", "volume"],
)
def test_sequences_that_cannot_be_measured_are_refused(tmp_path, reference, masks, error, message):
    (tmp_path / "01_GT/SEG").mkdir(parents=True)
    write_masks(tmp_path / "01_GT/SEG", reference)
    if masks:
        write_masks(tmp_path / "01_RES", masks)
    with pytest.raises(error, match=message):
        seg_of_sequence(tmp_path, "01")


def test_a_missing_reference_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="01_GT/TRA: expected a folder"):
        det_of_sequence(tmp_path)
