"""Sizes that a file's bytes cannot hold are refused before memory is taken; images that pack well are read."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image
from keras_unet.image_io.opening import open_windows


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
