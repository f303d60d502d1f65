"""What lies behind `image_io`: bytes of an image file to an array of pages, by tifffile or by Pillow."""

import contextlib
import io
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

Pixels = NDArray[Any]

_KNOWN = "TIFF, PNG, JPEG, BMP, GIF or PNM"
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SLIDES = ("svs", "scn", "ndpi", "bif", "philips", "qpi")  # tifffile's names of whole-slide formats
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_CHUNK_KINDS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # of a PNG, those that its pixels depend on
_PALETTE = 3  # colour type of a PNG
_START_OF_SCAN = 0xDA
_BARE_MARKERS = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # of a JPEG, those that no length follows, and filling bytes
_ANIMATED = ("GIF", "PNG", "WEBP")


class ImageError(ValueError):
    """A file that is no image, is damaged, or holds another kind of image than was expected."""


def decode(path: Path, palette_indices: bool) -> tuple[Pixels, bool]:
    """All pages of an image file.

    Args:
        path: TIFF, PNG, JPEG, BMP, GIF or PNM; the content decides, not the suffix.
        palette_indices: whether a palette image gives its indices instead of its colours.

    Returns:
        Pixels `(pages, height, width, channels)`, and whether the last channel is alpha.

    Raises:
        ImageError: the file is no image, damaged or cut short.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        received = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: expected an image file. Received {received}.")
    try:
        with path.open("rb") as file:
            start = file.read(26)
        stack, has_alpha = (_decode_tiff if start[:4] in _TIFF_STARTS else _decode_other)(path, palette_indices, start)
    except (ImageError, MemoryError):
        raise
    except Exception as problem:  # a decoder may raise anything on a damaged file
        raise ImageError(_undecodable(path, problem)) from problem
    if stack.dtype.kind not in "buif" or stack.size == 0:
        raise ImageError(f"{path}: expected real-valued pixels. Received {stack.dtype} of shape {stack.shape}.")
    return (stack.astype(np.uint8) if stack.dtype == bool else stack), has_alpha


def _undecodable(path: Path, problem: Exception) -> str:
    if path.stat().st_size == 0:
        return f"{path}: expected an image in {_KNOWN} format. Received an empty file."
    if isinstance(problem, UnidentifiedImageError):
        return f"{path}: expected an image in {_KNOWN} format. Received something else."
    return f"{path}: expected a complete image in {_KNOWN} format. Received a damaged or unsupported one ({problem})."


def _decode_tiff(path: Path, palette_indices: bool, start: bytes) -> tuple[Pixels, bool]:
    with _without_log("tifffile"), tifffile.TiffFile(path) as tif:
        if _is_cut_short(tif):
            raise ImageError(f"{path}: expected a complete TIFF. Received one that is cut short or damaged.")
        series = _series_to_read(tif.series, path)
        page = series[0].keyframe
        stack = np.concatenate([_pages_first(s.asarray(), s.axes) for s in series])
        colours = page.colormap
    if colours is not None and page.photometric == tifffile.PHOTOMETRIC.PALETTE and not palette_indices:
        return _palette(colours.T)[stack[..., 0]], False
    rgba = page.photometric == tifffile.PHOTOMETRIC.RGB and page.samplesperpixel == 4
    return stack, rgba or any(extra in (1, 2) for extra in page.extrasamples)


def _series_to_read(series: list[Any], path: Path) -> list[Any]:
    """Series of one page each are a stack; slides hold small overviews beside the image."""
    if series[0].kind in _SLIDES:
        return [max(series, key=lambda s: s.size)]
    full = [s for s in series if not s.keyframe.is_reduced] or series[:1]
    if len({(s.axes, s.shape, s.dtype) for s in full}) > 1:
        sizes = ", ".join(str(s.shape) for s in full[:3])
        raise ImageError(f"{path}: expected pages of one size. Received pages of shapes {sizes}.")
    return full


def _pages_first(pixels: Pixels, axes: str) -> Pixels:
    """Move samples and channels last, flatten everything else but height and width to pages."""
    channels = [i for i, letter in enumerate(axes) if letter in "CS"]
    row, column = axes.index("Y"), axes.index("X")
    pages = [i for i in range(len(axes)) if i not in (*channels, row, column)]
    ordered = pixels.transpose(*pages, row, column, *channels)
    height, width = pixels.shape[row], pixels.shape[column]
    return ordered.reshape(-1, height, width, int(np.prod([pixels.shape[i] for i in channels], dtype=int)))


def _palette(colours: Pixels) -> Pixels:
    """Colour table `(entries, 3)` in 8 bits, or `(entries, 1)` if it holds nothing but greys."""
    table = (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
    return np.asarray(table[:, :1] if (table == table[:, :1]).all() else table)


def _is_cut_short(tif: Any) -> bool:
    """Whether the chain of pages breaks off: tifffile then logs, and returns the pages that are left."""
    last, layout, file = tif.pages[-1].offset, tif.tiff, tif.filehandle
    file.seek(last)
    (tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(last + layout.tagnosize + tags * layout.tagsize)
    return bool(file.read(layout.offsetsize) != bytes(layout.offsetsize))


@contextlib.contextmanager
def _without_log(name: str) -> Iterator[None]:
    """Keep a decoder's complaints off the screen: the error raised in their place says it in one sentence."""
    handler, logger = logging.NullHandler(), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _decode_other(path: Path, palette_indices: bool, start: bytes) -> tuple[Pixels, bool]:
    file: Path | io.BytesIO = path
    if start[:8] == _PNG:
        is_animation, data = _plain_png(path.read_bytes())
        if start[24] == 16 and is_animation:
            raise ValueError("an animation of 16 bits")
        if start[24] == 16 and start[25] != 0:
            # Pillow cuts 16-bit colour down to 8 bits.
            pixels = imagecodecs.png_decode(data)
            return pixels[np.newaxis], pixels.shape[-1] in (2, 4)
        file = io.BytesIO(data)
    elif start[:3] == _JPEG:
        _check_complete_jpeg(path.read_bytes())
    with _any_size(), Image.open(file) as image:
        stack = _frames(image, palette_indices)
    stack = stack[..., np.newaxis] if stack.ndim == 3 else stack
    return stack, stack.shape[-1] in (2, 4)


def _plain_png(data: bytes) -> tuple[bool, bytes]:
    """Whether a PNG is an animation, and itself: if not, without all that its pixels do not depend on.

    Decoders differ in what they make of transparent colours, of a wrong check sum and of a missing end.

    Raises:
        ValueError: It is cut short, or damaged in a chunk that its pixels depend on.
    """
    chunks = list(_png_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if b"IDAT" not in kinds:
        raise ValueError("no pixels")
    first, count = kinds.index(b"IDAT"), kinds.count(b"IDAT")
    tables = [len(chunk) for kind, chunk in chunks[:first] if kind == b"PLTE"]
    if data[25] == _PALETTE and (len(tables) != 1 or tables[0] % 3):
        raise ValueError("no table of colours, or two")
    if kinds[first : first + count] != [b"IDAT"] * count:
        raise ValueError("pixels in several places")
    frames = sum(int.from_bytes(c[8:12], "big", signed=True) for kind, c in chunks[:first] if kind == b"acTL")
    if frames > kinds[:first].count(b"fcTL"):
        return True, data
    return False, b"".join([_PNG, *(chunk for kind, chunk in chunks if kind in _CHUNK_KINDS)])


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and bytes of each chunk of a PNG up to its end."""
    view, at, kind = memoryview(data), len(_PNG), b""
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


def _check_complete_jpeg(data: bytes) -> None:
    """Refuse a JPEG without the mark of its end, which decoders take or not as it happens.

    Raises:
        ValueError: It is cut short.
    """
    at, marker = 2, 0
    while marker != _START_OF_SCAN and 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        has_body = marker not in _BARE_MARKERS
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big") if has_body else 1
    # Thumbnails with an end of their own stand before the scan, and none can be in it.
    if at < 0 or data.find(b"\xff\xd9", at) < 0:
        raise ValueError("cut short")


def _frames(image: Image.Image, palette_indices: bool) -> Pixels:
    if image.format not in _ANIMATED or getattr(image, "n_frames", 1) == 1:
        return _frame(image, palette_indices)[np.newaxis]
    # Pillow gives the first frame of an animation in the file's mode and the others in RGB.
    stack = np.stack([np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)])
    return np.asarray(stack[..., :1] if (stack == stack[..., :1]).all() else stack)


def _frame(frame: Image.Image, palette_indices: bool) -> Pixels:
    if frame.mode == "P":
        indices = np.asarray(frame)
        if palette_indices:
            return indices
        table = np.zeros((256, 3), np.uint8)
        colours = np.array(frame.getpalette(), np.uint8).reshape(-1, 3)
        table[: len(colours)] = colours
        return np.asarray(_palette(table)[indices])
    return np.array(frame if frame.mode in _PLAIN_MODES else frame.convert("RGB"))


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Lift Pillow's limit of 179 megapixels: scans of tissue are larger, and the files are the user's own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
