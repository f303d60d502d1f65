"""Reading what enters the EM metrics: a truth and a cell probability of one shape, and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_unet.instances.label_checks import check_labels, check_probability, check_same_shape, check_threshold
from keras_unet.utils.argument_checks import refuse_path

THRESHOLDS: tuple[float, ...] = tuple(step / 10 for step in range(10))
"""The challenge's thresholds, 0.0 to 0.9 by 0.1; a pixel is cell where its probability is greater."""

LabelStack = npt.NDArray[np.int32]
ProbabilityStack = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def read_labels(labels: npt.ArrayLike, name: str) -> LabelStack:
    """Read one slice or a stack as (slices, height, width) int32.

    Raises:
        ValueError: not integers or booleans, a wrong rank, no pixels, or negative values.
    """
    refuse_path(labels, "keras_unet.image_io.read_stack reads a file")
    shape = _stack_shape(np.asarray(labels), name)
    return check_labels(np.asarray(labels).reshape(-1, shape[-1]), name).reshape(shape)


def read_pair(truth: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[LabelStack, ProbabilityStack]:
    """Read truth and probability as (slices, height, width).

    Raises:
        ValueError: shapes that differ, a truth that is not integer, probabilities outside [0, 1] or NaN.
    """
    for array in (truth, probability):
        refuse_path(array, "keras_unet.image_io.read_stack reads a file")
    check_same_shape(np.asarray(truth), np.asarray(probability))
    labels = read_labels(truth, "truth")
    return labels, check_probability(probability).reshape(labels.shape)


def read_thresholds(thresholds: Sequence[float]) -> list[float]:
    """Read thresholds.

    Raises:
        ValueError: none at all, one outside [0, 1], or a number where several are expected.
    """
    if np.ndim(thresholds) != 1:
        raise ValueError(f"Expected thresholds as a list, such as [0.5]. Received {thresholds}.")
    if len(thresholds) == 0:
        raise ValueError("Expected at least one threshold in [0, 1]. Received none.")
    return [check_threshold(threshold) for threshold in thresholds]


def check_has_cells(truth: LabelStack) -> None:
    """Raise a ValueError where the truth shows no cell, for scores that are undefined then."""
    if not truth.any():
        raise ValueError("Expected a truth with at least one cell pixel (nonzero). Received zeros only.")


def _stack_shape(array: npt.NDArray[Any], name: str) -> tuple[int, int, int]:
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            f"Expected {name} of shape (height, width) or (slices, height, width), not empty. Received {array.shape}."
        )
    slices = array.shape[0] if array.ndim == 3 else 1
    return slices, array.shape[-2], array.shape[-1]
