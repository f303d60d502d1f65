"""Whether pixels lie where a model expects them: a net of 8-bit images makes nonsense of 16-bit ones, and no error."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

_FEW = 1 / 1000  # of the pixels: hot ones are rarer
_SMALL = 1 / 10  # of the range


class RangeCheck:
    """Warns once, on stderr, of an image whose pixels are far from the range that a model was trained on.

    Far is an image of which more than one pixel in a thousand lies beyond the range by more than its width, or whose
    pixels cannot reach a tenth of the range: integers of too few bits, or floats that differ and all lie in -1 … 1. So
    neither a darker, a brighter or a blank image is far, nor one with a few hot pixels.

    Args:
        file: The image, for the message.
        value_range: `(low, high)` of the pixels that the model was trained on.
    """

    def __init__(self, file: Path, value_range: Sequence[float]) -> None:
        self._file = file
        self._low, self._high = np.float64(value_range[0]), np.float64(value_range[1])
        self._lowest, self._highest = np.inf, -np.inf
        self._beyond = 0
        self._warned = False

    def add(self, pixels: NDArray[Any], size: int) -> None:
        """Look at pixels of the image, which has `size` values, and warn as soon as it is far."""
        width = self._high - self._low
        self._lowest = min(self._lowest, float(pixels.min()))
        self._highest = max(self._highest, float(pixels.max()))
        if self._lowest < self._low - width or self._highest > self._high + width:
            beyond = (pixels < self._low - width) | (pixels > self._high + width)
            self._beyond += int(np.count_nonzero(beyond))
        self._dtype = pixels.dtype
        reach = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else np.inf
        if self._beyond > _FEW * size or reach < self._low + _SMALL * width:
            self._warn()

    def finish(self) -> None:
        """Warn if the pixels, now all seen, are scaled to -1 … 1 and those of the model are not."""
        if -1 <= self._lowest < self._highest <= 1 < self._low + _SMALL * (self._high - self._low):
            self._warn()

    def _warn(self) -> None:
        if self._warned:
            return
        self._warned = True
        tqdm.write(
            f"keras-unet: {self._file}: its pixels, {self._lowest:g} to {self._highest:g} ({self._dtype.name}), are "
            f"far from the {self._low:g} to {self._high:g} of the model's training, so results may mean nothing.",
            file=sys.stderr,
        )


def range_of_model(model: Any) -> tuple[float, float] | None:
    """`(low, high)` that the pixels of a `UNet` should lie in; None where each image is normalised by itself."""
    return None if model.normalizes_images else model.value_range


def range_of_export(description: Mapping[str, Any]) -> Sequence[float] | None:
    """The same of an exported model, from its description."""
    value_range: Sequence[float] | None = description["input"].get("value_range")
    return None if description.get("normalizes_images") else value_range


def check_range(file: Path, pixels: NDArray[Any], value_range: Sequence[float] | None) -> None:
    """Warn if a whole image is far from the range of a model, see `RangeCheck`; None is not checked."""
    if value_range is not None:
        check = RangeCheck(file, value_range)
        check.add(pixels, pixels.size)
        check.finish()
