"""Images in Zarr stores, read by windows and written by chunks. Needs the package zarr, the extra `large`."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unet.image_io.decoding import ImageError, Pixels
from keras_unet.image_io.windows import Windows, check_level


def open_zarr(path: Path, level: int = 0) -> Windows:
    """A Zarr array, or a level of an OME-Zarr group.

    Args:
        path: Folder of the store.
        level: Level of the pyramid; a bare array has level 0 alone.

    Raises:
        ImageError: The folder is no Zarr store, is damaged, holds a stack, or has no such level.
        ValueError: The package zarr is not installed.
    """
    try:
        node = _zarr().open(str(path), mode="r")
    except (ValueError, OSError) as problem:
        raise ImageError(
            f"{path}: expected an image file or a Zarr store. Received a folder that is neither."
        ) from problem
    array, axes = _level(path, node, level)
    size = dict(zip(axes, array.shape, strict=False))
    pages = int(np.prod([count for axis, count in size.items() if axis not in "yxc"], dtype=int))
    if len(size) != array.ndim or pages != 1 or not {"y", "x"} <= set(axes) or 0 in array.shape:
        raise ImageError(f"{path}: expected a single image. Received shape {array.shape} of axes {axes or 'unknown'}.")
    if array.dtype.kind not in "uif":
        raise ImageError(f"{path}: expected real-valued pixels. Received {array.dtype}.")
    kept = [axis for axis in axes if axis in "yxc"]
    order = [kept.index(axis) for axis in "yxc" if axis in kept]
    dtype = array.dtype.newbyteorder("=")

    def read(rows: slice, columns: slice) -> Pixels:
        window = tuple({"y": rows, "x": columns, "c": slice(None)}.get(axis, 0) for axis in axes)
        try:
            pixels = np.asarray(array[window], dtype).transpose(order)
        except Exception as problem:  # a codec may raise anything on a damaged chunk
            raise ImageError(
                f"{path}: expected a complete Zarr store. Received a damaged one ({problem})."
            ) from problem
        return pixels.reshape(*pixels.shape[:2], -1)

    return Windows(path, (size["y"], size["x"], size.get("c", 1)), dtype, read)


class ZarrTarget:
    """A Zarr array (format 3) that is filled chunk by chunk; what is written twice is replaced.

    Args:
        path: Folder of the store.
        shape: `(height, width)` or `(height, width, classes)`.
        dtype: Of the pixels.
        tile: Height and width of a chunk in pixels.
        compress: Whether to compress chunks (Zstandard).
        end: None to begin a new store; any number to go on with the one there is.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], tile: int, compress: bool, end: int | None
    ) -> None:
        zarr = _zarr()
        self.end = 0
        if end is None:
            zarr.create_array(
                store=str(path),
                shape=shape,
                chunks=(tile, tile, *shape[2:]),
                dtype=dtype,
                compressors="auto" if compress else None,
                dimension_names=("y", "x", "c")[: len(shape)],
                overwrite=True,
            )
        for leftover in path.rglob("*.partial"):  # zarr's own unfinished files of a killed process
            leftover.unlink()
        self._array = zarr.open_array(str(path), mode="r+")

    def write(self, row: int, column: int, pixels: Pixels) -> None:
        """Write `(height, width, …)` whose first pixel is at `row`, `column`, both multiples of the chunk."""
        self._array[row : row + pixels.shape[0], column : column + pixels.shape[1]] = pixels

    def sync(self) -> None:
        """Chunks are whole or absent as they are."""

    def close(self) -> None:
        """Nothing is held open."""


def _zarr() -> Any:
    try:
        import zarr
    except ModuleNotFoundError:
        raise ValueError(
            'Expected the package zarr for Zarr stores. Received none: pip install "keras-unet[large]".'
        ) from None
    return zarr


def _level(path: Path, node: Any, level: int) -> tuple[Any, str]:
    """The array of a level and the letters of its axes; none if they are not known."""
    if hasattr(node, "shape"):
        check_level(path, level, 1)
        names = getattr(node.metadata, "dimension_names", None) or ()
        if not any(names):  # format 3 names none by null for each
            names = ("y", "x", "c")[: node.ndim]
        return node, "".join(str(name)[:1].lower() for name in names)
    try:
        image = node.attrs.get("ome", node.attrs)["multiscales"][0]
        axes = "".join(axis["name"].lower() for axis in image["axes"])
        arrays = [dataset["path"] for dataset in image["datasets"]]
    except (KeyError, TypeError, IndexError) as problem:
        raise ImageError(f"{path}: expected a Zarr array or an OME-Zarr image. Received another group.") from problem
    check_level(path, level, len(arrays))
    return node[arrays[level]], axes
