"""Files that are torn, are no images or hold pixels that nothing can be made of are refused by name."""

import logging

import numpy as np
import pytest
import tifffile
from helpers.image_files import COLOUR, noise
from PIL import Image

from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image, read_labels, read_stack


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_truncated_picture_is_refused_by_name(tmp_path, suffix, part):
    Image.fromarray(noise(64, 64)).save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ImageError, match=rf"cut\.{suffix}: expected a complete image"):
        read_image(path)


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "lzw"}, {"metadata": None}])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_stack_is_refused_and_never_shortened(tmp_path, options, part):
    tifffile.imwrite(tmp_path / "whole.tif", noise(6, 32, 32), **options)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: int(part * len(content))])
    with pytest.raises(ImageError, match=r"cut\.tif: expected a complete"):
        read_stack(tmp_path / "cut.tif")


def test_truncated_stack_is_noticed_when_the_user_mutes_the_log(tmp_path):
    tifffile.imwrite(tmp_path / "whole.tif", noise(6, 32, 32), metadata=None)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises(ImageError, match="complete"):
            read_stack(tmp_path / "cut.tif")
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_text_under_an_image_name_is_refused(tmp_path, name):
    (tmp_path / name).write_text("not an image")
    with pytest.raises(ImageError, match=rf"{name}: expected an image in TIFF, PNG.* Received something else"):
        read_image(tmp_path / name)


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(ImageError, match=r"a\.tif: expected an image.* Received an empty file"):
        read_image(tmp_path / "a.tif")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tif: expected an image file. Received no such file"):
        read_image(tmp_path / "none.tif")
    with pytest.raises(FileNotFoundError, match="expected an image file. Received a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_pixels_are_refused_with_their_number(tmp_path, bad):
    pixels = np.zeros((3, 4), np.float32)
    pixels[1, 1:3] = bad
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(ImageError, match=r"a\.tif: expected finite pixel values. Received 2 of NaN or infinity"):
        read_image(tmp_path / "a.tif")


def test_complex_pixels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4), np.complex64))
    with pytest.raises(ImageError, match="expected real-valued pixels. Received complex64"):
        read_image(tmp_path / "a.tif")


def test_float_labels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((3, 4), np.float32))
    with pytest.raises(ImageError, match=r"a\.tif: expected labels that are integers. Received float32"):
        read_labels(tmp_path / "a.tif")


def test_coloured_labels_are_refused(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png: expected labels in one channel. Received 3 channels that differ"):
        read_labels(tmp_path / "a.png")


def test_real_float_file_with_nan_is_refused(real_data):
    with pytest.raises(ImageError, match=r"float_nan\.tif: expected finite"):
        read_image(real_data / "formats/float/float_nan.tif")
