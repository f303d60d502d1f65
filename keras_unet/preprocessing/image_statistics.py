"""Mean and standard deviation of an image's pixels, robust against a few extreme ones. NumPy only.

They are taken from a sample on a regular grid, so that an image of any size costs the same, and from values clipped to
the sample's percentiles 0.2 and 99.8, so that hot pixels do not count. Of `a * image + b` they are `a` times and `a`
times plus `b`: brightness, contrast and bit depth do not change a normalised image.

`keras_unet.preprocessing.pixel_normalization` computes the same in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_unet.utils.argument_checks import refuse_path

SIDE = 256  # rows and columns of the sample at most
CLIPPED = 0.002  # share of the sample at each end
LIMIT = 10.0  # normalised pixels are clipped to this many standard deviations

BY_STATISTICS = "_by_statistics"
"""End of the names of the exported signatures that take the statistics of a whole image with a piece of it."""

Statistics = npt.NDArray[np.float32]


def pixel_statistics(image: npt.ArrayLike) -> Statistics:
    """Robust mean and standard deviation of each channel of an image.

    Args:
        image: `(height, width)` or `(height, width, channels)`, real numbers.

    Returns:
        `(2, channels)` float32: means, then standard deviations. An image of one value has its value and 1.

    Raises:
        ValueError: If the image has another rank or no pixels.
    """
    refuse_path(image, "keras_unet.image_io.read_image reads a file")
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(
            f"Expected an image (height, width) or (height, width, channels) with pixels. "
            f"Received shape {pixels.shape}."
        )
    return _robust(_sample(pixels[..., None] if pixels.ndim == 2 else pixels))


def data_statistics(images: Iterable[npt.NDArray[Any]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and standard deviations of the channels over several images, as constants of a net.

    Args:
        images: `(height, width, channels)` each, of one number of channels.
    """
    samples = [_sample(image) for image in images]
    means, deviations = _robust(np.concatenate(samples)).tolist()
    return tuple(means), tuple(deviations)


def _sample(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The sample `(pixels, channels)` of an image."""
    rows, columns = (step(size) for size in planes.shape[:2])
    return planes[::rows, ::columns].reshape(-1, planes.shape[-1])


def _robust(sample: npt.NDArray[Any]) -> Statistics:
    """The same from a sample `(pixels, channels)` of an image."""
    values = np.sort(sample.astype(np.float32), axis=0).astype(np.float64)
    last = len(values) - 1
    cut = int(len(values) * CLIPPED)
    low, high = values[cut], values[last - cut]
    # Where the percentiles coincide, as in a black image with a few spots, all values count.
    low, high = np.where(high > low, low, values[0]), np.where(high > low, high, values[last])
    varies = high > low
    clipped = np.clip(values, low, high)
    means = np.where(varies, clipped.mean(axis=0), low)
    return np.stack([means, np.where(varies, clipped.std(axis=0), 1.0)]).astype(np.float32)


def step(size: int) -> int:
    """Distance of the sample's rows or columns along an axis of `size` pixels."""
    return -(-size // SIDE)


def normalized(pixels: npt.NDArray[Any], statistics: Statistics) -> npt.NDArray[np.float32]:
    """Pixels `(…, channels)` minus the mean, divided by the standard deviation, clipped to `LIMIT`; float32."""
    means, deviations = statistics
    normal = (pixels.astype(np.float32) - means) / deviations
    return np.asarray(np.clip(normal, -LIMIT, LIMIT), np.float32)
