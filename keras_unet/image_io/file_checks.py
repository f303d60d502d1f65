"""Checks of image files before a decoder sees them: complete, and no larger than so many bytes can make them."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

from tifffile import COMPRESSION, PLANARCONFIG

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"

_CHUNK_KINDS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # of a PNG, those that its pixels depend on
_PALETTE = 3  # colour type of a PNG
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# First row, first column, row step and column step of the seven passes of an interlaced PNG.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_START_OF_SCAN = 0xDA
_BARE_MARKERS = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # of a JPEG, those that no length follows, and filling bytes
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)

_DEFLATE = 1032  # two bits stand for 258 bytes at best
_LZW = 2731  # 12 bits stand for fewer than 4096 bytes
_PACK_BITS = 64  # two bytes stand for 128
_HUFFMAN_JPEG = 1024  # pixels a byte: a bit per block of 8 x 8, half as many blocks if no component is sampled fully
_TIFF_GROWTH = {
    COMPRESSION.LZW: _LZW,
    COMPRESSION.ADOBE_DEFLATE: _DEFLATE,
    COMPRESSION.DEFLATE: _DEFLATE,
    COMPRESSION.PACKBITS: _PACK_BITS,
}
_ZLIB_HEADER = 2  # bytes before the deflated ones
_PART = 2**16  # bytes inflated at a time, to 64 MiB at most


def plain_png(data: bytes) -> tuple[bool, bytes]:
    """Whether a PNG is an animation, and itself: if not, without all that its pixels do not depend on.

    Decoders differ in what they make of transparent colours, of a wrong check sum and of a missing end.

    Raises:
        ValueError: It is cut short, damaged in a chunk that its pixels depend on, or larger than its pixel data can be.
    """
    chunks = list(_png_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or len(chunks[0][1]) != 25:
        raise ValueError("no header, or two")
    if b"IDAT" not in kinds:
        raise ValueError("no pixels")
    first, count = kinds.index(b"IDAT"), kinds.count(b"IDAT")
    tables = [len(chunk) for kind, chunk in chunks[:first] if kind == b"PLTE"]
    if data[25] == _PALETTE and (len(tables) != 1 or tables[0] % 3):
        raise ValueError("no table of colours, or two")
    if kinds[first : first + count] != [b"IDAT"] * count:
        raise ValueError("pixels in several places")
    _check_size_of_png(data, sum(len(chunk) - 12 for _, chunk in chunks[first : first + count]))
    frames = sum(int.from_bytes(c[8:12], "big", signed=True) for kind, c in chunks[:first] if kind == b"acTL")
    if frames > kinds[:first].count(b"fcTL"):
        return True, data
    return False, b"".join([PNG, *(chunk for kind, chunk in chunks if kind in _CHUNK_KINDS)])


def _check_size_of_png(data: bytes, compressed: int) -> None:
    if _bytes_of_png(data) > _DEFLATE * compressed:
        width, height = struct.unpack_from(">II", data, 16)
        raise ValueError(f"{height} x {width} pixels in {compressed} bytes")


def _bytes_of_png(data: bytes) -> int:
    """Bytes of the pixels before compression: rows, each after a byte that names its filter."""
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    total = 0
    for row, column, down, across in _PASSES if interlaced else ((0, 0, 1, 1),):
        rows, columns = -((row - height) // down), -((column - width) // across)
        if rows > 0 and columns > 0:
            total += rows * (1 - -columns * bits * _SAMPLES.get(colour, 1) // 8)
    return total


def check_pixels_of_png(data: bytes) -> None:
    """Refuse a PNG that lacks rows, which decoders fill with zeros or not as it happens.

    Args:
        data: As `plain_png` gives it.

    Raises:
        ValueError: It has fewer bytes of pixels than its size asks for.
    """
    packed = b"".join(chunk[8:-4] for kind, chunk in _png_chunks(data) if kind == b"IDAT")
    missing, inflater = _bytes_of_png(data), zlib.decompressobj(-zlib.MAX_WBITS)  # the check sum is the decoder's
    for at in range(_ZLIB_HEADER, len(packed), _PART):
        if missing > 0 and not inflater.eof:
            missing -= len(inflater.decompress(packed[at : at + _PART]))
    if missing > 0:
        raise ValueError("rows are missing")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and bytes of each chunk of a PNG up to its end."""
    view, at, kind = memoryview(data), len(PNG), b""
    while kind != b"IEND":
        if at + 8 > len(data):
            raise ValueError("cut short")
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = view[at : at + 12 + length]
        at += 12 + length
        if at > len(data):
            raise ValueError("cut short")
        if kind in _CHUNK_KINDS and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ValueError("wrong check sum")
        if kind not in _CHUNK_KINDS and kind[:1].isupper():
            raise ValueError(f"unknown chunk {kind!r}")
        yield kind, chunk


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG without the mark of its end, which decoders take or not as it happens, or of an impossible size.

    Raises:
        ValueError: It is cut short, or larger than so many bytes can make it.
    """
    at, marker = 2, 0
    while marker != _START_OF_SCAN and 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if marker in _HUFFMAN_FRAMES:
            _check_size_of_jpeg(data, at)
        has_body = marker not in _BARE_MARKERS
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big") if has_body else 1
    # Thumbnails with an end of their own stand before the scan, and none can be in it.
    if at < 0 or data.find(b"\xff\xd9", at) < 0:
        raise ValueError("cut short")


def _check_size_of_jpeg(data: bytes, frame: int) -> None:
    height, width = (int.from_bytes(data[frame + at : frame + at + 2], "big") for at in (5, 7))
    if height * width > _HUFFMAN_JPEG * len(data):
        raise ValueError(f"{height} x {width} pixels in {len(data)} bytes")


def check_size_of_tiff(series: Any, size: int) -> None:
    """Refuse a series of a TIFF that a file of `size` bytes cannot hold; what a sparse file leaves out is no matter.

    Raises:
        ValueError: It is larger.
    """
    if series.dataoffset is not None:
        if series.dataoffset + series.nbytes > size:
            raise ValueError(f"{series.dataoffset + series.nbytes} bytes announced, {size} there")
        return
    page = series.keyframe
    growth = _TIFF_GROWTH.get(page.compression)
    if growth is None:
        return
    counts = [count for part in series.pages if part is not None for count in part.databytecounts]
    if any(0 < count * growth < _segment_bytes(page) for count in counts):
        raise ValueError(f"{page.imagelength} x {page.imagewidth} pixels in {sum(counts)} bytes")


def _segment_bytes(page: Any) -> int:
    """Bytes of a tile before compression, or of the last strip, which may be lower than the others."""
    rows, columns = page.tilelength, page.tilewidth
    if not page.is_tiled:
        columns = page.imagewidth
        rows = (page.imagelength - 1) % max(min(page.rowsperstrip, page.imagelength), 1) + 1
    samples = 1 if page.planarconfig == PLANARCONFIG.SEPARATE else page.samplesperpixel
    return int(rows * columns * samples * page.bitspersample // 8)
