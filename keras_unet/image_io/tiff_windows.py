"""Windows of TIFF files: only the strips or tiles that a window touches are decoded; an uncompressed file is mapped."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from keras_unet.image_io import decoding, file_checks
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.windows import Pixels, Read, Windows, check_level, paste


@contextlib.contextmanager
def open_tiff(path: Path, level: int = 0) -> Iterator[Windows]:
    """Open a TIFF file, or a level of a pyramid; errors as `open_windows`."""
    with decoding._without_log("tifffile"), contextlib.ExitStack() as stack:
        with _naming_damage(path):
            tif = stack.enter_context(tifffile.TiffFile(path))
            windows = _tiff_windows(path, tif, level)
        yield windows


def is_tiff(path: Path) -> bool:
    """Whether a file starts as TIFF files do."""
    with path.open("rb") as file:
        return file.read(4) in decoding._TIFF_STARTS


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
