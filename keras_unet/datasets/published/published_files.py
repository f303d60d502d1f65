"""What the readers of published data sets share: their values are known beforehand, so that none are guessed."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.base import Sample
from keras_unet.datasets.folders import contents
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image, read_labels

ReadLabels = Callable[[], NDArray[Any]]


def existing_folder(path: str | os.PathLike[str], expected: str) -> Path:
    """The folder of a data set.

    Args:
        path: Where it should lie.
        expected: What it should hold, for the message.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: {expected}. Received {'a file' if root.exists() else 'no such folder'}.")
    return root


def other_layout(root: Path, expected: str) -> ImageError:
    """The error for a folder of another layout: what was expected, and what lies there."""
    return ImageError(f"{root}: {expected}. Received {contents(root)}.")


def partner(image: Path, label: Path) -> Path:
    """The label file of an image, whose name the data set's layout gives.

    Raises:
        ImageError: There is no such file.
    """
    if not label.is_file():
        raise ImageError(f"{image}: image without label. Expected {label.name} in {label.parent}. Received none.")
    return label


def read_sample(image: Path, labels: ReadLabels) -> list[Sample]:
    """One image file with its labels, as `collected` takes it.

    Raises:
        ValueError: A damaged file, or sizes that differ.
    """
    return [Sample(str(image), read_image(image), labels())]


def read_ids(path: Path) -> NDArray[np.int32]:
    """Object ids `(height, width)` from a file.

    Raises:
        ImageError: Values are no integers, negative, or beyond int32.
    """
    labels = read_labels(path)
    lowest, highest, limit = int(labels.min()), int(labels.max()), np.iinfo(np.int32).max
    if lowest < 0 or highest > limit:
        raise ImageError(
            f"{path}: expected object ids from 0 to {limit}. Received {lowest if lowest < 0 else highest}."
        )
    return labels.astype(np.int32)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """A mask `(height, width)` of 0 and 1, or of 0 and 255; one that holds a single value is read too.

    Raises:
        ImageError: Other values.
    """
    labels = read_labels(path)
    values = set(np.unique(labels).tolist())
    if not (values <= {0, 1} or values <= {0, 255}):
        received = ", ".join(map(str, sorted(values)[:6]))
        raise ImageError(f"{path}: expected a mask of 0 and 1, or of 0 and 255. Received {received}.")
    return labels > 0


def read_codes(path: Path, codes: Sequence[int]) -> NDArray[np.int32]:
    """Class numbers `(height, width)` from gray values that stand for classes.

    Args:
        path: Label file.
        codes: Gray value of class 0, 1 and so on, rising. A value one off is taken for it, as 128 stands for 127.

    Raises:
        ImageError: Another value.
    """
    labels = read_labels(path)
    classes = np.full(labels.shape, -1, np.int32)
    for number, code in enumerate(codes):
        classes[(labels >= max(0, code - 1)) & (labels <= code + 1)] = number
    if (classes < 0).any():
        received, expected = labels[classes < 0].min(), ", ".join(map(str, codes))
        raise ImageError(f"{path}: expected label values {expected}. Received {received}.")
    return classes
