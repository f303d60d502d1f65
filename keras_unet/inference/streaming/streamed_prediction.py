"""Segmentation of images larger than memory: read, predicted and written part by part.

The image is cut into the very tiles of `predict`, so the result has the same bits. A panel of columns is filled from
top to bottom, strip by strip: memory holds the lines that one strip of a panel depends on, what becomes of them, and
one batch of tiles, whatever the height and width of the image.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_unet import __version__
from keras_unet.image_io.decoding import ImageError, Pixels
from keras_unet.image_io.image_files import FilePath
from keras_unet.image_io.opening import open_windows
from keras_unet.image_io.windows import Windows, paste
from keras_unet.inference.streaming.pieces import Pieces, PieceSegmenter, net_segmenter
from keras_unet.inference.streaming.targets import TILE, ResumableTarget, check_target, open_target, partial_settings
from keras_unet.preprocessing.image_statistics import Statistics, step
from keras_unet.preprocessing.pixel_normalization import statistics_of

_SAMPLES, _SAMPLE_BYTES = 256, 64 * 1024  # of an image, to know it again
_PANEL_BYTES = 128 * 1024**2  # of the lines read for a strip, and as many of the lines to write


def predict_file(
    model: Any,
    source: FilePath,
    target: FilePath,
    *,
    tile: int | tuple[int, int] | None = None,
    output: str = "classes",
    batch_size: int = 1,
    averaging: str = "none",
    level: int = 0,
    compress: bool = True,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Segment an image that need not fit in memory, from file to file, bit for bit as `predict` does.

    Memory beyond the net and a batch of tiles is at most about half a gigabyte, whatever the size of the image, unless
    the image itself comes in larger pieces: a compressed TIFF of a single strip, PNG and JPEG are read whole.

    A call that was killed, or failed, is gone on with by the next: finished tiles lie in `<target>.partial`, the target
    appears when it is complete. The image must be the same by then: its size, its time of last change and samples of
    its bytes are compared, 16 MiB spread over it. One that was touched, or copied without its time, counts as another.

    Args:
        model: A `UNet`.
        source: TIFF, BigTIFF, OME-TIFF, SVS, a Zarr array or OME-Zarr group, or any file that `image_io` reads.
        target: Ends in `.tif` (tiled BigTIFF) or `.zarr` (needs the package zarr); its folder is made if need be.
        tile: As in `predict`; a partial result keeps to the tile it was begun with unless another is given.
        output: `"classes"` for class ids, `(height, width)` uint8, or `"probabilities"`, `(height, width, num_classes)`
            float32. For `num_classes` 1, class 1 is p > 0.5.
        batch_size: The most tiles in one call of the net.
        averaging: Test-time averaging as in `predict`, except `"rotations7"`, which turns whole images in memory.
        level: Level of a pyramid; 0 is the largest.
        compress: Whether to compress the target, losslessly.
        resume: Whether to go on with a partial result; otherwise it is thrown away.
        overwrite: Whether an existing target, or a partial result of another model, image or settings, is replaced.
        progress: Whether to show a progress bar with the time left.

    Returns:
        The path of the target.

    Raises:
        ValueError: If image, tile or settings do not fit the model or the partial result; an `ImageError` if the image
            is damaged or has pixels that are not finite.
        FileNotFoundError: If there is no image.
        FileExistsError: If the target exists.
        OSError: If the target cannot be written; the message names the file.
    """
    if tile is None and resume:
        tile = partial_settings(Path(target)).get("tile")
    segmenter = net_segmenter(model, tile, output, batch_size, averaging)
    return stream(
        segmenter,
        source,
        target,
        level=level,
        compress=compress,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
    )


def stream(
    segmenter: PieceSegmenter,
    source: FilePath,
    target: FilePath,
    *,
    level: int = 0,
    compress: bool = True,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Segment an image from file to file with any segmenter; arguments and errors as for `predict_file`."""
    target = Path(target)
    check_target(target, overwrite)
    if target.resolve() == Path(source).resolve():
        raise ValueError(f"Expected another file for the result than the image. Received {str(target)!r} for both.")
    with open_windows(source, level) as image:
        image = image.for_channels(segmenter.channels)
        statistics = _statistics(image) if segmenter.normalizes_images else None
        pieces = segmenter.pieces(image.shape[:2], image.dtype, statistics)
        identity = _identity(image)
        settings = {**segmenter.settings, "image": identity, "level": level, "keras_unet": __version__}
        shape = (*image.shape[:2], *segmenter.pixel)
        options: dict[str, Any] = {"compress": compress, "resume": resume, "overwrite": overwrite}
        with open_target(target, shape, segmenter.dtype, settings, **options) as out:
            _Streaming(segmenter, image, pieces).run(out, progress)
            if _identity(image) != identity:
                raise ImageError(f"{source}: expected an image that stays as it is. Received one changed meanwhile.")
    return target


def _statistics(image: Windows) -> Statistics:
    """As `pixel_statistics` of the whole image, of which only the rows of the sample are read."""
    height, width = image.shape[:2]
    rows = range(0, height, step(height))
    sample = [image.read(slice(row, row + 1), slice(0, width))[:, :: step(width)] for row in rows]
    return np.asarray(statistics_of(tf.convert_to_tensor(np.concatenate(sample)[None]))[0])


def _identity(image: Windows) -> list[Any]:
    """What tells an image from one that was put in its place, or changed."""
    path = Path(image.path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    facts = [file.stat() for file in files]
    size, latest = sum(fact.st_size for fact in facts), max((fact.st_mtime_ns for fact in facts), default=0)
    sizes = [fact.st_size for fact in facts]
    return [size, latest, len(files), _samples(path, files, sizes), *image.shape, image.dtype.str]


def _samples(path: Path, files: list[Path], sizes: list[int]) -> str:
    """A digest of bytes spread evenly over files, head and tail included; of all bytes if there are few.

    Copying can keep size and time of a file, and reading all of a large one would take minutes.
    """
    parts = [-(-size // _SAMPLE_BYTES) for size in sizes]
    digest, ends = hashlib.sha256(), np.cumsum(parts)
    for part in np.unique(np.linspace(0, sum(parts) - 1, _SAMPLES, dtype=np.int64)) if any(parts) else ():
        number = int(np.searchsorted(ends, part, side="right"))
        start = int(part - (ends[number] - parts[number])) * _SAMPLE_BYTES
        with files[number].open("rb") as file:
            file.seek(start)
            digest.update(f"{files[number].relative_to(path)} {start} ".encode())
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


class _Streaming:
    """The image of a call, panel by panel."""

    def __init__(self, segmenter: PieceSegmenter, image: Windows, pieces: Pieces) -> None:
        self._segmenter, self._image, self._pieces = segmenter, image, pieces
        self._height, self._width = image.shape[:2]

    def run(self, out: ResumableTarget, show: bool) -> None:
        """Write every row of tiles that is not finished."""
        rows = -(-self._height // TILE)
        panels = list(self._panels())
        calls = [self._strips() * len(self._across(panel)) for panel in panels]
        finished, row = out.done // rows, out.done % rows * TILE
        earlier = sum(calls[:finished])
        if finished < len(panels):
            earlier += row // self._pieces.size[0] * len(self._across(panels[finished]))
        hidden = None if show else True  # None: shown on a terminal alone
        with tqdm(total=sum(calls), initial=earlier, unit="piece", desc="segmenting", disable=hidden) as bar:
            for panel in panels[finished:]:
                self._fill(out, panel, row, bar)
                row = 0

    def _panels(self) -> Iterator[range]:
        """Columns of the image in ranges whose lines fit in the memory set aside for them."""
        (height, _), context = self._pieces.size, self._pieces.context
        read = (height + context) * self._image.shape[2] * self._image.dtype.itemsize
        written = (height + TILE) * int(np.prod(self._segmenter.pixel, dtype=int)) * self._segmenter.dtype.itemsize
        width = max(_PANEL_BYTES // max(read, written) // TILE, 1) * TILE
        for first in range(0, self._width, width):
            yield range(first, min(first + width, self._width))

    def _strips(self) -> int:
        return -(-self._height // self._pieces.size[0])

    def _across(self, panel: range) -> range:
        """The pieces that a panel touches."""
        width = self._pieces.size[1]
        return range(panel.start // width, -(-panel.stop // width))

    def _fill(self, out: ResumableTarget, panel: range, row: int, bar: Any) -> None:
        """Write the rows of tiles of a panel from `row` on."""
        height = self._pieces.size[0]
        lines = np.zeros((0, len(panel), *self._segmenter.pixel), self._segmenter.dtype)
        for index in range(row // height, self._strips()):
            strip = self._strip(index, panel, bar)
            top = index * height
            lines = np.concatenate([lines, strip[max(row - top, 0) : self._height - top]])
            is_last = index == self._strips() - 1
            while len(lines) >= TILE or (is_last and len(lines)):
                out.write(row, panel.start, lines[:TILE])
                lines, row = lines[TILE:], row + TILE

    def _strip(self, index: int, panel: range, bar: Any) -> Pixels:
        """Lines of a panel that the pieces beside each other contribute."""
        pieces, across = self._pieces, self._across(panel)
        rows = pieces.around(index, index + 1, 0, self._height)
        columns = pieces.around(across.start, across.stop, 1, self._width)
        top, left = int(rows.min()), int(columns.min())
        pixels = self._image.read(slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
        _check_finite(pixels, self._image.path, top)
        height, width = pieces.size
        strip = np.zeros((height, len(panel), *self._segmenter.pixel), self._segmenter.dtype)
        for number in across:
            first = (number - across.start) * width
            window = np.ix_(rows - top, columns[first : first + width + pieces.context] - left)
            paste(strip, pieces.run(pixels[window]), 0, number * width - panel.start)
            bar.update()
        return strip


def _check_finite(pixels: Pixels, path: Path, top: int) -> None:
    if pixels.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        extremes = np.array([pixels.min(), pixels.max()], np.float32)
    if not np.isfinite(extremes).all():
        raise ImageError(
            f"{path}: expected finite pixel values that float32 holds. Received NaN, infinity or larger ones in the "
            f"rows {top} to {top + len(pixels) - 1}."
        )
