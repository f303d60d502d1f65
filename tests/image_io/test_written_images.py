"""Labels, probabilities and pictures are written whole or not at all, and read back."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.image_files import COLOUR, GREY

from keras_unet.image_io.image_files import read_image, read_labels, write_image, write_labels, write_probabilities


@pytest.mark.parametrize(
    ("largest", "suffix", "dtype"),
    [(255, "png", "uint8"), (256, "png", "uint16"), (65535, "tif", "uint16"), (65536, "tif", "int32")],
)
def test_labels_are_written_in_the_smallest_dtype_and_read_back(tmp_path, largest, suffix, dtype):
    labels = np.array([[0, 1], [2, largest]], np.int64)
    path = tmp_path / "new" / f"a.{suffix}"
    write_labels(path, labels)
    assert read_labels(path).dtype == dtype
    np.testing.assert_array_equal(read_labels(path), labels)


def test_labels_beyond_png_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected labels 0 to 65535 for PNG. Received 70000: write \.tif instead"):
        write_labels(tmp_path / "a.png", np.array([[70000]]))
    assert list(tmp_path.iterdir()) == []


def test_probabilities_come_back_with_channels_last(tmp_path):
    probabilities = np.random.default_rng(0).random((5, 6, 3)).astype(np.float32)
    write_probabilities(tmp_path / "a.tif", probabilities)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), probabilities)
    assert read_image(tmp_path / "a.tif").dtype == np.float32


def test_picture_is_written_and_read_back(tmp_path):
    write_image(tmp_path / "a.png", COLOUR)
    write_image(tmp_path / "b.png", GREY[..., None])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), COLOUR)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png")[..., 0], GREY)


def test_unsuitable_arrays_and_suffixes_are_refused_by_the_writers(tmp_path):
    for write, name, pixels in [
        (write_image, "a.gif", GREY),
        (write_image, "a.png", GREY.astype(float)),
        (write_labels, "a.png", GREY.astype(float)),
        (write_labels, "a.jpg", GREY),
        (write_probabilities, "a.tif", GREY),
        (write_probabilities, "a.png", COLOUR),
    ]:
        with pytest.raises(ValueError, match=rf"{name}: expected"):
            write(tmp_path / name, pixels)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    write_labels(path, GREY)

    def disk_full(target, *_args, **_options):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_labels(path, GREY + 1)
    assert os.listdir(tmp_path) == ["a.tif"]
    np.testing.assert_array_equal(read_labels(path), GREY)
