"""Image files of every kind, and every way they are broken."""

import io
import logging
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_unet.image_io import (
    ImageError,
    list_images,
    read_image,
    read_label_stack,
    read_labels,
    read_stack,
    write_image,
    write_labels,
    write_probabilities,
)
from keras_unet.windows import open_windows

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "pgm"])
def test_grey_image_has_one_channel_and_its_own_values(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).save(path)
    image = read_image(path)
    assert image.shape == (3, 4, 1)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 0], GREY)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_colour_image_has_channels_last(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path)
    np.testing.assert_array_equal(read_image(path), COLOUR)


def test_jpeg_is_read_to_within_its_loss(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg")[..., 0].astype(int) - smooth).max() <= 4


def test_content_decides_and_not_the_suffix(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.tif", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"])
def test_tiff_keeps_dtype_and_values(tmp_path, dtype):
    pixels = noise(5, 6).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == dtype
    np.testing.assert_array_equal(image[..., 0], pixels)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_compressed_tiff_is_read(tmp_path, compression, tile):
    pixels = noise(40, 33, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, tile=tile)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], pixels)


def test_big_tiff_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, bigtiff=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


def test_sixteen_bit_png_keeps_its_range(tmp_path):
    grey = GREY.astype(np.uint16) * 5000
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png")[..., 0], grey)


def test_sixteen_bit_colour_png_is_not_cut_to_eight_bits(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    colour = COLOUR.astype(np.uint16) * 1000 + 7
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(colour))
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, colour)


def test_one_bit_image_becomes_zero_and_one(tmp_path):
    Image.fromarray(GREY > 5).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", GREY > 5)
    for name in ("a.png", "a.tif"):
        labels = read_labels(tmp_path / name)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, GREY > 5)


def palette_png(path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putdata([0, 1, 2, 1])
    image.putpalette([0, 0, 0, 255, 10, 0, 0, 20, 255])
    image.save(path)
    return path


def test_palette_png_gives_colours_as_image_and_indices_as_labels(tmp_path):
    path = palette_png(tmp_path / "a.png")
    assert read_image(path).tolist() == [[[0, 0, 0], [255, 10, 0]], [[0, 20, 255], [255, 10, 0]]]
    assert read_labels(path).tolist() == [[0, 1], [2, 1]]


def test_palette_tiff_gives_colours_as_image_and_indices_as_labels(tmp_path):
    table = np.zeros((3, 256), np.uint16)
    table[:, 1] = 65535, 2560, 0
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1]], np.uint8), photometric="palette", colormap=table)
    assert read_image(tmp_path / "a.tif").tolist() == [[[0, 0, 0], [255, 10, 0]]]
    assert read_labels(tmp_path / "a.tif").tolist() == [[0, 1]]


def test_grey_palette_gives_one_channel(tmp_path):
    table = np.tile((255 - np.arange(256, dtype=np.uint16)) * 257, (3, 1))
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], 255 - GREY)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_constant_alpha_is_dropped_and_a_varying_one_kept(tmp_path, suffix):
    alpha = np.full((3, 4, 1), 255, np.uint8)
    constant, varying = tmp_path / f"constant.{suffix}", tmp_path / f"varying.{suffix}"
    Image.fromarray(np.concatenate([COLOUR, alpha], -1)).save(constant)
    Image.fromarray(np.concatenate([COLOUR, GREY[..., None]], -1)).save(varying)
    np.testing.assert_array_equal(read_image(constant), COLOUR)
    assert read_image(varying).shape == (3, 4, 4)


def test_planar_tiff_comes_with_channels_last(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLOUR)


def test_imagej_composite_is_one_image_of_several_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(COLOUR, -1, 0), imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLOUR)


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


def test_grey_labels_in_three_channels_are_one_label_image(tmp_path):
    Image.fromarray(np.stack([GREY] * 3, -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), GREY)


def test_coloured_labels_are_refused(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png: expected labels in one channel. Received 3 channels that differ"):
        read_labels(tmp_path / "a.png")


def test_images_are_listed_in_natural_order_without_hidden_and_other_files(tmp_path):
    for name in ("t10.png", "t2.png", ".t3.png", "notes.txt", "T1.TIF"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_images(tmp_path)] == ["T1.TIF", "t2.png", "t10.png"]
    with pytest.raises(FileNotFoundError, match="none: expected a folder of images"):
        list_images(tmp_path / "none")


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


@pytest.mark.parametrize(
    ("file", "shape", "dtype", "low", "high"),
    [
        ("formats/multichannel/49768_112_reduced.tif", (842, 846, 3), "uint8", 3, 255),
        ("formats/multichannel/test_image.ome.tif", (513, 639, 3), "uint8", 0, 255),
        ("formats/packbits/AS_09125_050116030001_D03f00d0.tif", (512, 512, 1), "uint8", 7, 255),
        ("formats/uint16/A2_03_2_1_DAPI_001.tif", (904, 1224, 1), "uint16", None, 65504),
        ("formats/large/cmu-1-small-region.svs", (2967, 2220, 3), "uint8", 0, 255),
        ("drosophila_vnc/stack1/raw/00.tif", (1024, 1024, 1), "uint8", None, None),
        ("DRIVE/training/images/21_training.tif", (584, 565, 3), "uint8", 0, 255),
        ("Fluo-N2DL-HeLa/01", (700, 1100, 1), "uint16", None, None),
        ("STARE/stare-images/im0001.ppm", (605, 700, 3), "uint8", None, None),
        ("axondeepseg_sem/sub-rat6/micr/sub-rat6_sample-data15_SEM.png", (744, 1154, 1), "uint8", 2, 252),
    ],
)
def test_real_files_are_read_as_their_publishers_describe_them(real_data, file, shape, dtype, low, high):
    path = real_data / file
    image = read_image(list_images(path)[0] if path.is_dir() else path)
    assert image.shape == shape
    assert image.dtype == dtype
    assert low is None or image.min() == low
    assert high is None or image.max() == high


def test_real_float_file_with_nan_is_refused(real_data):
    with pytest.raises(ImageError, match=r"float_nan\.tif: expected finite"):
        read_image(real_data / "formats/float/float_nan.tif")


def test_real_masks_as_gif_one_bit_png_and_grey_alpha_are_read(real_data):
    assert set(np.unique(read_labels(real_data / "DRIVE/training/1st_manual/21_manual1.gif"))) == {0, 255}
    assert set(np.unique(read_labels(real_data / "CHASEDB1/Image_01L_1stHO.png"))) == {0, 1}
    folder = real_data / "axondeepseg_sem/derivatives/labels/sub-rat6/micr"
    assert set(np.unique(read_labels(folder / "sub-rat6_sample-data15_SEM_seg-axonmyelin-manual.png"))) == {0, 127, 255}


def png_of_zeros(width, height, body, bits=8, colour=0):
    def chunk(kind, content=b""):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND")


def bmp(width, height, compression, body):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + bytes(1024) + body


def resized(file, marker, at, value):
    """A JPEG whose frame claims another height and width."""
    at += file.index(marker)
    return file[:at] + value + file[at + len(value) :]


def encoded(format, **options):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(buffer, format, **options)
    return buffer.getvalue()


GIANTS = {
    "png": png_of_zeros(33, 2_080_374_801, zlib.compress(bytes(2**20))),
    "thin png": png_of_zeros(1, 2**31 - 1, zlib.compress(bytes(2**20)), bits=1),
    "pgm": b"P5 33 2080374801 255\n" + bytes(60),
    "written pgm": b"P2 33 2080374801 255\n" + b"1 " * 60,
    "bmp": bmp(33, 2_080_374_801, 0, bytes(100)),
    "packed bmp": bmp(33, 2_080_374_801, 1, b"\x21\1\0\0" * 20),
    "jpeg": resized(encoded("JPEG"), b"\xff\xc0", 5, b"\xff\0\xff\0"),
    "progressive jpeg": resized(encoded("JPEG", progressive=True), b"\xff\xc2", 5, b"\xff\0\xff\0"),
}


@pytest.mark.parametrize("name", GIANTS)
def test_size_that_so_few_bytes_cannot_hold_is_refused_before_memory_is_taken(tmp_path, name):
    (tmp_path / "a").write_bytes(GIANTS[name])
    with pytest.raises(ImageError, match=r"a: expected .* Received a damaged .* \(\d+ x \d+ pixels in \d+ bytes\)"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_tiff_that_its_bytes_cannot_hold_is_refused(tmp_path, compression):
    options = {"compression": compression, "rowsperstrip": 60, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((60, 33), np.uint8), **options)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
        tags = tif.pages[0].tags
        for name in ("ImageLength", "RowsPerStrip"):
            tags[name].overwrite(2_080_374_801)
    for read in (read_image, first_row):
        with pytest.raises(ImageError, match=r"a\.tif: expected a complete .*\(\d+ (x 33 pixels in|bytes announced)"):
            read(tmp_path / "a.tif")


def first_row(path):
    with open_windows(path) as windows:
        return windows.read(slice(0, 1), slice(0, windows.shape[1]))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".pgm", ".webp"])
def test_image_that_packs_as_well_as_can_be_is_read(tmp_path, suffix):
    options = {
        ".png": {"compress_level": 9},
        ".jpg": {"optimize": True, "progressive": True},
        ".webp": {"lossless": True},
    }
    Image.fromarray(np.zeros((3000, 4000), np.uint8)).save(tmp_path / f"a{suffix}", **options.get(suffix, {}))
    image = read_image(tmp_path / f"a{suffix}")
    assert image.shape[:2] == (3000, 4000)
    assert not image.any()


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("options", [{"tile": (2048, 2048)}, {"rowsperstrip": 3000}, {"rowsperstrip": 2999}])
def test_tiff_that_packs_as_well_as_can_be_is_read(tmp_path, compression, options):
    options = {**options, "compressionargs": {"level": 9} if compression == "zlib" else None}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3000, 4000), np.uint8), compression=compression, **options)
    assert read_image(tmp_path / "a.tif").shape == (3000, 4000, 1)
    assert first_row(tmp_path / "a.tif").shape == (1, 4000, 1)
