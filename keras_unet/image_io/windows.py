"""An image of which parts are read, whatever holds it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet.image_io.decoding import ImageError

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


def check_level(path: Path, level: int, levels: int) -> None:
    """Refuse a level that a pyramid of so many does not have.

    Raises:
        ImageError: If there is no such level.
    """
    if not 0 <= level < levels:
        raise ImageError(f"{path}: expected a level between 0 and {levels - 1}. Received level {level}.")


def paste(window: Pixels, segment: Pixels, row: int, column: int) -> None:
    """Copy the part of `segment` that lies in `window`, its first pixel being at `row`, `column` of the window."""
    top, left = max(row, 0), max(column, 0)
    part = segment[top - row : window.shape[0] - row, left - column : window.shape[1] - column]
    window[top : top + part.shape[0], left : left + part.shape[1]] = part
