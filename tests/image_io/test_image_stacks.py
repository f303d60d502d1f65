"""Stacks: pages in their order, and those that make no stack."""

import numpy as np
import pytest
import tifffile
from helpers.image_files import noise
from PIL import Image

from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image, read_label_stack, read_labels, read_stack


def test_ome_axes_are_sorted_into_pages_and_channels(tmp_path):
    pixels = noise(2, 3, 5, 6)  # time, channel, height, width
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "TCYX"})
    stack = read_stack(tmp_path / "a.ome.tif")
    assert stack.shape == (2, 5, 6, 3)
    np.testing.assert_array_equal(stack[1, ..., 2], pixels[1, 2])


def test_stack_keeps_the_order_of_its_pages(tmp_path):
    pages = noise(4, 5, 6)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    np.testing.assert_array_equal(read_stack(tmp_path / "a.tif")[..., 0], pages)
    np.testing.assert_array_equal(read_label_stack(tmp_path / "a.tif"), pages)


def test_pages_written_one_by_one_are_a_stack(tmp_path):
    pages = noise(3, 5, 6)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for page in pages:
            tif.write(page)
    np.testing.assert_array_equal(read_stack(tmp_path / "a.tif")[..., 0], pages)


def test_animated_gif_is_a_stack(tmp_path):
    pages = noise(3, 8, 8)
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    np.testing.assert_array_equal(read_stack(tmp_path / "a.gif")[..., 0], pages)


def test_reduced_pages_beside_an_image_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(noise(32, 32), metadata=None)
        tif.write(noise(8, 8), subfiletype=1, metadata=None)
    assert read_image(tmp_path / "a.tif").shape == (32, 32, 1)


def test_stack_where_one_image_is_expected_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 5, 6), photometric="minisblack")
    with pytest.raises(ImageError, match=r"a\.tif: expected a single image\. Received a stack of 4 pages\."):
        read_image(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="single label image"):
        read_labels(tmp_path / "a.tif")


def test_pages_of_different_size_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(noise(8, 8))
        tif.write(noise(9, 8))
    with pytest.raises(ImageError, match=r"a\.tif: expected pages of one size.*\(8, 8\), \(9, 8\)"):
        read_stack(tmp_path / "a.tif")
