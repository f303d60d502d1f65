"""Large results written tile by tile: a BigTIFF or a Zarr store that a killed process can go on with.

Beside the target `out.tif` lie, until it is complete, `out.tif.partial` with the finished tiles and `out.tif.journal`,
which says how many they are and what they were made with. The target appears by renaming.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from keras_unet.inference.streaming.journal import Journal, parsed
from keras_unet.utils.atomic_files import naming

TILE = 256
"""Height and width in pixels of the tiles of a TIFF and the chunks of a Zarr store."""

_SUFFIXES = (".tif", ".tiff", ".zarr")
_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")
_TAG_DTYPES = {3: "<u2", 4: "<u4", 16: "<u8"}  # SHORT, LONG, LONG8


class Target(Protocol):
    """A large image under construction; `end` is the size of the file up to which it is valid."""

    end: int

    def write(self, row: int, column: int, pixels: NDArray[Any]) -> None:
        """Write `(height, width, …)` whose first pixel is at `row`, `column`, both multiples of `TILE`."""

    def sync(self) -> None:
        """Put on disk what was written."""

    def close(self) -> None:
        """Let go of the file."""


class ResumableTarget:
    """A target, and how many rows of tiles of it are finished.

    Args:
        path: File or folder that is written, for messages.
        target: Where the pixels go.
        journal: File that records what is finished.
        done: Rows of tiles finished by an earlier process.
    """

    def __init__(self, path: Path, target: Target, journal: Journal, done: int) -> None:
        self._path, self._target, self._journal, self.done = path, target, journal, done

    def write(self, row: int, column: int, pixels: NDArray[Any]) -> None:
        """Write the next row of tiles: `(height, width, …)` at `row`, `column` of the image; then it is finished."""
        with naming(self._path):
            self._target.write(row, column, pixels)
            self._target.sync()
            self._journal.add(self.done + 1, self._target.end)
        self.done += 1


def partial_settings(path: Path) -> dict[str, Any]:
    """What the partial result beside the target `path` was made with; empty if there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        settings, _, _ = parsed(_beside(path, "journal").read_bytes())
        if _beside(path, "partial").exists():
            return settings
    return {}


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a target of unknown kind, or one that exists.

    Raises:
        ValueError: Naming the kinds.
        FileExistsError: Unless `overwrite`.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{path}: expected a target that ends in {', '.join(_SUFFIXES)}. Received {path.name!r}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"Expected a new file, or overwrite. Received {str(path)!r}, which exists.")
    if path.is_dir() and any(path.iterdir()) and not any((path / name).is_file() for name in _ZARR_MARKS):
        raise FileExistsError(f"Expected a file or a Zarr store to overwrite. Received {str(path)!r}, another folder.")


@contextlib.contextmanager
def open_target(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    settings: Mapping[str, Any],
    *,
    compress: bool = True,
    resume: bool = True,
    overwrite: bool = False,
) -> Iterator[ResumableTarget]:
    """A target to fill, from where an earlier process left off; it gets its name when the block ends well.

    If the block fails, what is finished stays beside the target for the next call.

    Args:
        path: Ends in `.tif`, `.tiff` or `.zarr`.
        shape: `(height, width)` or `(height, width, classes)`.
        dtype: Of the pixels.
        settings: What the result depends on, for JSON; a partial result of other settings is not gone on with.
        compress: Deflate for TIFF, Zstandard for Zarr.
        resume: Whether to go on with a partial result.
        overwrite: Whether a target, or a partial result of other settings, may be replaced.

    Raises:
        ValueError: If the partial result was made with other settings.
        FileExistsError: If the target exists.
        BlockingIOError: If another process is writing the target.
        OSError: If the target cannot be written; it names the file.
    """
    check_target(path, overwrite)
    settings = json.loads(json.dumps({**settings, "compress": compress}))
    partial, journal_file = _beside(path, "partial"), _beside(path, "journal")
    path.parent.mkdir(parents=True, exist_ok=True)
    with Journal(journal_file) as journal:
        earlier, done, end = journal.read()
        if not resume or not _holds(partial, end):
            earlier = {}
        if earlier and earlier != settings and not overwrite:
            raise ValueError(_other_settings(path, earlier, settings))
        with naming(partial):
            if earlier != settings:
                done, end = 0, None
                journal.clear()
                _remove(partial)
            target = _opened(path, partial, shape, dtype, compress, end)
            if end is None:
                journal.start(settings, target.end)
        progress = ResumableTarget(partial, target, journal, done)
        try:
            yield progress
        finally:
            target.close()
            if progress.done == 0:
                journal.clear()
                _remove(partial)
        with naming(path):
            if path.is_dir() or partial.is_dir():
                _remove(path)
            os.replace(partial, path)
            journal.clear()


def _opened(
    path: Path, partial: Path, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool, end: int | None
) -> Target:
    if path.suffix.lower() != ".zarr":
        return _TiffTarget(partial, shape, dtype, compress, end)
    from keras_unet.image_io.zarr_store import ZarrTarget

    return ZarrTarget(partial, shape, dtype, TILE, compress, end)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def _holds(partial: Path, end: int | None) -> bool:
    """Whether what the journal records is there; a crash of the system may have lost the end of a file."""
    return partial.is_dir() or (partial.is_file() and end is not None and partial.stat().st_size >= end)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _other_settings(path: Path, earlier: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    other = ", ".join(key for key in settings if earlier.get(key) != settings[key])
    return (
        f"Expected the model, image and settings that {str(_beside(path, 'partial'))!r} was begun with, or overwrite. "
        f"Received another {other}."
    )


class _TiffTarget:
    """A tiled BigTIFF of which tifffile writes the head; tiles are appended and their places entered in it."""

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool, end: int | None
    ) -> None:
        self._compress, self._across = compress, -(-shape[1] // TILE)
        if end is None:
            one_sample = shape[2:] in ((), (1,))
            tifffile.imwrite(
                path,
                iter([b""] * (-(-shape[0] // TILE) * self._across)),
                shape=shape[:2] if one_sample else shape,
                dtype=dtype,
                tile=(TILE, TILE),
                bigtiff=True,
                byteorder="<",
                photometric="minisblack",
                planarconfig=None if one_sample else "contig",
                compression="zlib" if compress else None,
                metadata=None,
            )
        with tifffile.TiffFile(path) as tif:
            self._tags = [tif.pages[0].tags[name] for name in ("TileOffsets", "TileByteCounts")]
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115  # open until `close`
        self.end = path.stat().st_size if end is None else end
        self._file.truncate(self.end)

    def write(self, row: int, column: int, pixels: NDArray[Any]) -> None:
        tiles = [self._encoded(pixels[:, left : left + TILE]) for left in range(0, pixels.shape[1], TILE)]
        sizes = [len(tile) for tile in tiles]
        offsets = self.end + np.cumsum([0, *sizes[:-1]])
        self._put(self.end, b"".join(tiles))
        first = row // TILE * self._across + column // TILE
        for tag, values in zip(self._tags, (offsets, sizes), strict=True):
            entries = np.asarray(values, _TAG_DTYPES[tag.dtype])
            self._put(tag.valueoffset + first * entries.itemsize, entries.tobytes())
        self.end += sum(sizes)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _encoded(self, pixels: NDArray[Any]) -> bytes:
        tile = np.zeros((TILE, TILE, *pixels.shape[2:]), pixels.dtype.newbyteorder("<"))
        tile[: pixels.shape[0], : pixels.shape[1]] = pixels
        return bytes(imagecodecs.deflate_encode(tile.tobytes(), level=6)) if self._compress else tile.tobytes()

    def _put(self, position: int, data: bytes) -> None:
        """Write all of `data`; the system may take it in parts."""
        self._file.seek(position)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
