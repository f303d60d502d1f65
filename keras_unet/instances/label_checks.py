"""Label images, probabilities and thresholds, checked where they enter."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from keras_unet.utils.argument_checks import refuse_path

Labels = npt.NDArray[np.int32]

LARGEST_ID = 2**24 - 1


def check_labels(labels: npt.ArrayLike, name: str) -> Labels:
    """Read (height, width) ids as int32.

    Raises:
        ValueError: not integers or booleans, a wrong rank, no pixels, or ids below 0 or too large.
    """
    refuse_path(labels, "keras_unet.image_io.read_labels reads a file")
    array = np.asarray(labels)
    if array.dtype.kind not in "biu":
        raise ValueError(f"Expected {name} of integer ids, 0 for background. Received {array.dtype}.")
    check_plane(array, name)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > LARGEST_ID:
        wrong = low if low < 0 else high
        raise ValueError(f"Expected the ids of {name} in 0 to {LARGEST_ID}. Received id {wrong}.")
    return array.astype(np.int32, copy=False)


def check_same_shape(truth: npt.NDArray[np.generic], result: npt.NDArray[np.generic]) -> None:
    """Raise a ValueError unless truth and result have one shape."""
    if truth.shape != result.shape:
        raise ValueError(f"Expected truth and result of one shape. Received {truth.shape} and {result.shape}.")


def check_plane(array: npt.NDArray[np.generic], name: str) -> None:
    """Raise a ValueError unless the array has two dimensions and pixels."""
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"Expected {name} of shape (height, width), not empty. Received {array.shape}.")


def check_probability(probability: npt.ArrayLike) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
    """Read probabilities of any shape as float32, or float64 where they are float64.

    Raises:
        ValueError: not numbers, NaN, or values outside [0, 1].
    """
    refuse_path(probability, "keras_unet.image_io.read_image reads a file")
    array = np.asarray(probability)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Expected probabilities as real numbers. Received {array.dtype}.")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"Expected probabilities in [0, 1] without NaN. Received values from {array.min()} to {array.max()}."
        )
    return array if array.dtype == np.float64 else array.astype(np.float32, copy=False)


def check_threshold(threshold: float) -> float:
    """Read a threshold.

    Raises:
        ValueError: outside [0, 1], NaN or no number.
    """
    if not (isinstance(threshold, Real) and 0 <= threshold <= 1):
        raise ValueError(f"Expected a threshold in [0, 1]. Received {threshold}.")
    return float(threshold)


def check_count(value: int, name: str) -> int:
    """Read a number of pixels.

    Raises:
        ValueError: below 0 or no whole number.
    """
    if not isinstance(value, Real) or value < 0 or value % 1:
        raise ValueError(f"Expected {name} as a whole number of pixels from 0 on. Received {value}.")
    return int(value)
