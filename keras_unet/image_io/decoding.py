"""What lies behind `image_io`: bytes of an image file to an array of pages, by tifffile or by Pillow."""

import contextlib
import io
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from keras_unet.image_io import file_checks

Pixels = NDArray[Any]

_KNOWN = "TIFF, PNG, JPEG, BMP, GIF or PNM"
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SLIDES = ("svs", "scn", "ndpi", "bif", "philips", "qpi")  # tifffile's names of whole-slide formats
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_RAW_CODECS = {"raw", "ppm", "ppm_plain"}  # Pillow's names of those that take a bit a pixel or more
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
        for one in series:
            file_checks.check_size_of_tiff(one, path.stat().st_size)
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
    if start[:8] == file_checks.PNG:
        return _decode_png(path.read_bytes(), palette_indices)
    if start[:3] == file_checks.JPEG:
        file_checks.check_jpeg(path.read_bytes())
    return _decode_by_pillow(path, palette_indices)


def _decode_png(data: bytes, palette_indices: bool) -> tuple[Pixels, bool]:
    is_animation, data = file_checks.plain_png(data)
    bits, colour = data[24], data[25]
    if bits == 16 and is_animation:
        raise ValueError("an animation of 16 bits")
    if bits == 16 and colour != 0:
        # Pillow cuts 16-bit colour down to 8 bits.
        pixels = imagecodecs.png_decode(data)
        return pixels[np.newaxis], pixels.shape[-1] in (2, 4)
    stack, has_alpha = _decode_by_pillow(io.BytesIO(data), palette_indices)
    is_interlaced, last = bool(data[28]), stack[0, -1]
    # Pillow takes rows that the file lacks for zeros. To look for them takes long, and most last rows tell.
    if not is_animation and (is_interlaced or (last == last[:1]).all()):
        file_checks.check_pixels_of_png(data)
    return stack, has_alpha


def _decode_by_pillow(file: Path | io.BytesIO, palette_indices: bool) -> tuple[Pixels, bool]:
    with _any_size(), Image.open(file) as image:
        if isinstance(file, Path):
            _check_size(image, file.stat().st_size)
        stack = _frames(image, palette_indices)
    stack = stack[..., np.newaxis] if stack.ndim == 3 else stack
    return stack, stack.shape[-1] in (2, 4)


def _check_size(image: Image.Image, size: int) -> None:
    """Refuse an image, not yet decoded, that a file of `size` bytes cannot hold.

    Of the other formats nothing follows: a GIF may be an empty screen, and lossless WebP has constant images for free.

    Raises:
        ValueError: It is larger.
    """
    codecs = {tile[0] for tile in getattr(image, "tile", ())}  # files have it, Pillow's type for all images has not
    is_raw = bool(codecs) and codecs <= _RAW_CODECS
    if (is_raw and image.width * image.height > 8 * size) or ("bmp_rle" in codecs and image.height > 64 * size):
        raise ValueError(f"{image.height} x {image.width} pixels in {size} bytes")


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
