"""Windows of image files that need not fit in memory: TIFF, whole-slide pyramids and Zarr, part by part.

Of a TIFF only the strips or tiles that a window touches are decoded; an uncompressed one is mapped. PNG, JPEG and the
other formats of `image_io` cannot be read in part and are read whole.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from keras_unet.image_io import decoding, file_checks
from keras_unet.image_io.image_files import ImageError, read_image

Pixels = NDArray[Any]
Read = Callable[[slice, slice], Pixels]


@dataclass(frozen=True)
class Windows:
    """An open image.

    Args:
        path: The file, or the folder of a Zarr store.
        shape: `(height, width, channels)`.
        dtype: Of the pixels that `read` gives.
        read: From rows and columns, two slices with ends inside the image, to `(rows, columns, channels)`.
        has_alpha: Whether the last channel is alpha.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    read: Read
    has_alpha: bool = False

    def for_channels(self, channels: int) -> "Windows":
        """The image as a net of that many channels takes it: an alpha channel too many is left out.

        Raises:
            ImageError: If the number of channels is another, or, as soon as such pixels are read, alpha is not the same
                everywhere.
        """
        height, width, own = self.shape
        if own == channels:
            return self
        if self.has_alpha and own == channels + 1:
            return Windows(self.path, (height, width, channels), self.dtype, self._without_alpha())
        raise ImageError(f"{self.path}: expected {channels} channels. Received {own} ({height} x {width} pixels).")

    def _without_alpha(self) -> Read:
        first = self.read(slice(0, 1), slice(0, 1))[0, 0, -1]

        def read(rows: slice, columns: slice) -> Pixels:
            pixels = self.read(rows, columns)
            # As in memory, where only an alpha that says nothing is left out.
            if not (pixels[..., -1] == first).all():
                channels = self.shape[2]
                raise ImageError(
                    f"{self.path}: expected {channels - 1} channels, or an alpha that is the same everywhere. "
                    f"Received {channels}, with an alpha that differs."
                )
            return pixels[..., :-1]

        return read


@contextlib.contextmanager
def open_windows(path: str | os.PathLike[str], level: int = 0) -> Iterator[Windows]:
    """Open an image for reading parts of it.

    Args:
        path: TIFF (strips or tiles, any compression of imagecodecs, BigTIFF, OME, ImageJ, SVS), a Zarr array
            `(height, width)` or `(height, width, channels)`, an OME-Zarr group, or what `image_io.read_image` reads.
        level: Level of a pyramid; 0 is the largest.

    Raises:
        ImageError: The file is no image, is damaged, holds a stack, or has no such level.
        FileNotFoundError: There is no such file.
        ValueError: It is a Zarr store, and the package zarr is not installed.
    """
    path = Path(path)
    if path.is_dir():
        from keras_unet.image_io.zarr_store import open_zarr

        yield open_zarr(path, level)
        return
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an image file or a Zarr store. Received nothing of that name.")
    with path.open("rb") as file:
        start = file.read(4)
    if start not in decoding._TIFF_STARTS:
        yield _whole(path, level)
        return
    with decoding._without_log("tifffile"), contextlib.ExitStack() as stack:
        with _naming_damage(path):
            tif = stack.enter_context(tifffile.TiffFile(path))
            windows = _tiff_windows(path, tif, level)
        yield windows


def _whole(path: Path, level: int) -> Windows:
    check_level(path, level, 1)
    image = read_image(path)
    return Windows(path, image.shape, image.dtype, lambda rows, columns: image[rows, columns])


def check_level(path: Path, level: int, levels: int) -> None:
    """Refuse a level that a pyramid of so many does not have.

    Raises:
        ImageError: If there is no such level.
    """
    if not 0 <= level < levels:
        raise ImageError(f"{path}: expected a level between 0 and {levels - 1}. Received level {level}.")


@contextlib.contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    """Have whatever a decoder raises on a damaged file name the file.

    Raises:
        ImageError: Instead of everything but a lack of memory.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as problem:  # a decoder may raise anything on a damaged file
        reason = str(problem) or type(problem).__name__
        raise ImageError(f"{path}: expected a complete TIFF. Received a damaged one ({reason}).") from problem


def _tiff_windows(path: Path, tif: Any, level: int) -> Windows:
    if decoding._is_cut_short(tif):
        raise ImageError(f"{path}: expected a complete TIFF. Received one that is cut short or damaged.")
    series, *others = decoding._series_to_read(tif.series, path)
    check_level(path, level, len(series.levels))
    series = series.levels[level]
    file_checks.check_size_of_tiff(series, path.stat().st_size)
    size = dict(zip(series.axes, series.shape, strict=True))
    channels = int(np.prod([count for axis, count in size.items() if axis in "CS"], dtype=int))
    pages = (1 + len(others)) * series.size // (channels * size["Y"] * size["X"])
    if pages > 1:
        raise ImageError(f"{path}: expected a single image. Received a stack of {pages}.")
    in_one_piece = series.dataoffset is not None
    read = _mapped(path, series, tif.byteorder) if in_one_piece else _Segments(path, series, channels).read
    page = series.keyframe
    rgba = page.photometric == tifffile.PHOTOMETRIC.RGB and page.samplesperpixel == 4
    has_alpha = rgba or any(extra in (1, 2) for extra in page.extrasamples)
    if page.colormap is not None and page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        read, channels, dtype = _coloured(read, decoding._palette(page.colormap.T))
    else:
        dtype = np.dtype(np.uint8) if series.dtype == bool else series.dtype.newbyteorder("=")
    if dtype.kind not in "uif":
        raise ImageError(f"{path}: expected real-valued pixels. Received {dtype}.")

    def native(rows: slice, columns: slice) -> Pixels:
        with _naming_damage(path):
            return read(rows, columns).astype(dtype, copy=False)

    return Windows(path, (size["Y"], size["X"], channels), dtype, native, has_alpha)


def _coloured(indices: Read, table: Pixels) -> tuple[Read, int, np.dtype[Any]]:
    """A palette image in its colours, as `read_image` gives it."""
    return (lambda rows, columns: table[indices(rows, columns)[..., 0]]), table.shape[-1], table.dtype


def _mapped(path: Path, series: Any, byteorder: str) -> Read:
    """Windows of uncompressed pixels that lie in one piece, whatever the height of the strips."""
    dtype = series.dtype.newbyteorder(byteorder)

    def read(rows: slice, columns: slice) -> Pixels:
        # Mapped anew each time: the pages of a mapping that stays open count as memory of the process.
        pixels = np.memmap(path, dtype, "r", series.dataoffset, series.shape)
        window = tuple({"Y": rows, "X": columns}.get(axis, slice(None)) for axis in series.axes)
        return np.array(decoding._pages_first(np.asarray(pixels[window]), series.axes)[0])

    return read


class _Segments:
    """Windows put together from the strips or tiles that they touch; the segment decoded last is kept."""

    def __init__(self, path: Path, series: Any, channels: int) -> None:
        self._path, self._pages, page = path, list(series.pages), series.keyframe
        if len(self._pages) * page.samplesperpixel != channels or page.imagedepth > 1 or None in self._pages:
            raise ImageError(f"{path}: expected one page, or a page per channel. Received axes {series.axes}.")
        self._dtype, self._samples = page.dtype, page.samplesperpixel
        self._planes = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else 1
        self._height = min(page.tilelength if page.is_tiled else page.rowsperstrip, page.imagelength)
        self._width = page.tilewidth if page.is_tiled else page.imagewidth
        self._down = -(-page.imagelength // self._height)
        self._across = -(-page.imagewidth // self._width)
        self._last: tuple[Any, Any] = (None, None)

    def read(self, rows: slice, columns: slice) -> Pixels:
        size = rows.stop - rows.start, columns.stop - columns.start
        window = np.zeros((*size, len(self._pages), self._samples), self._dtype)
        for number, plane, down, across in itertools.product(
            range(len(self._pages)),
            range(self._planes),
            range(rows.start // self._height, -(-rows.stop // self._height)),
            range(columns.start // self._width, -(-columns.stop // self._width)),
        ):
            segment = self._segment(number, (plane * self._down + down) * self._across + across)
            samples = slice(plane, plane + 1) if self._planes > 1 else slice(None)
            if segment is not None:  # what a sparse file leaves out is 0
                paste(
                    window[:, :, number, samples],
                    segment,
                    down * self._height - rows.start,
                    across * self._width - columns.start,
                )
        return window.reshape(*size, -1)

    def _segment(self, number: int, index: int) -> Pixels | None:
        if self._last[0] != (number, index):
            self._last = (None, None)  # not two in memory at once
            self._last = ((number, index), self._decoded(self._pages[number], index))
        segment: Pixels | None = self._last[1]
        return segment

    def _decoded(self, page: Any, index: int) -> Pixels | None:
        """`(height, width, samples)` of a segment, None for one that the file leaves out."""
        offset, size = page.dataoffsets[index], page.databytecounts[index]
        if size == 0:
            return None
        file = page.parent.filehandle
        file.open()
        file.seek(offset)
        data = file.read(size)
        if len(data) < size:
            raise ImageError(f"{self._path}: expected a complete TIFF. Received one that is cut short.")
        tables = {"jpegtables": page.jpegtables, "jpegheader": page.keyframe.jpegheader}
        return np.asarray(page.keyframe.decode(data, index, **tables)[0][0])


def paste(window: Pixels, segment: Pixels, row: int, column: int) -> None:
    """Copy the part of `segment` that lies in `window`, its first pixel being at `row`, `column` of the window."""
    top, left = max(row, 0), max(column, 0)
    part = segment[top - row : window.shape[0] - row, left - column : window.shape[1] - column]
    window[top : top + part.shape[0], left : left + part.shape[1]] = part
