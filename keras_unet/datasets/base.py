"""What every reader of data returns: named pairs of image and labels, checked once, here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from keras_unet.image_io.image_files import check_finite
from keras_unet.preprocessing.image_statistics import data_statistics
from keras_unet.utils.argument_checks import check_class_names

Kind = Literal["classes", "instances"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its labels.

    Args:
        name: where it came from, for messages: the file's name, with the page for a stack.
        image: `(height, width, channels)`, in the file's own dtype and range.
        labels: `(height, width)` integers, stored as int32: class numbers or instance ids.

    Raises:
        ValueError: an array has the wrong rank, no pixels, NaN or infinite pixels, labels that
            are no integers, or image and labels differ in size. The message names the sample.
    """

    name: str
    image: NDArray[Any]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        check_image(self.image, self.name)
        object.__setattr__(self, "labels", _checked_labels(self.labels, self.name))
        if self.image.shape[:2] != self.labels.shape:
            raise ValueError(
                f"{self.name}: image and labels differ in size. Expected labels of "
                f"{_size(self.image.shape)} pixels (height x width) as the image has. "
                f"Received {_size(self.labels.shape)}."
            )


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A data set: samples with one channel count and one meaning of the labels.

    Args:
        samples: at least one.
        kind: `"classes"` when labels are class numbers, `"instances"` when they are object ids
            with 0 as background.
        num_classes: number of classes, background included; 2 for instances.
        class_names: one name per class.
        ignore_label: label value without meaning, left out of loss and metrics; None for none.
        notes: decisions taken while reading, one sentence each, for printing.

    Raises:
        ValueError: no samples, channel counts that differ, labels outside the classes, or
            names that are not one for each class.
    """

    samples: tuple[Sample, ...]
    kind: Kind
    num_classes: int
    class_names: tuple[str, ...]
    ignore_label: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_description()
        check_channels([(sample.name, sample.image.shape[-1]) for sample in self.samples])
        for sample in self.samples:
            self._check_label_values(sample)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        """Walk the samples in order."""
        return iter(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Return the sample at a position."""
        return self.samples[index]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples."""
        return tuple(sample.name for sample in self.samples)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.samples[0].image.shape[-1])

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest pixel value over all images."""
        low = min(float(sample.image.min()) for sample in self.samples)
        high = max(float(sample.image.max()) for sample in self.samples)
        return low, high

    @cached_property
    def pixel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Robust means and standard deviations of the channels over all images: `UNet`'s `pixel_normalization`."""
        return data_statistics(sample.image for sample in self)

    def subset(self, indices: Iterable[int]) -> Self:
        """Take the samples at these positions, in this order, as a data set of its own.

        Raises:
            ValueError: a position outside the data set, or none at all.
        """
        chosen = tuple(indices)
        outside = [i for i in chosen if not 0 <= i < len(self)]
        if outside:
            raise ValueError(f"Expected sample indices from 0 to {len(self) - 1}. Received {outside[0]}.")
        return replace(self, samples=self._chosen(chosen))

    def _chosen(self, indices: Sequence[int]) -> Any:
        return tuple(self.samples[i] for i in indices)

    def _check_description(self) -> None:
        if not self.samples:
            raise ValueError("Expected a data set of at least one labelled image. Received none.")
        if self.kind not in ("classes", "instances"):
            raise ValueError(f'Expected kind "classes" or "instances". Received {self.kind!r}.')
        if self.num_classes < 2 or (self.kind == "instances" and self.num_classes != 2):
            raise ValueError(
                f"Expected 2 classes for instances and at least 2 otherwise, background included. "
                f"Received kind {self.kind!r} with {self.num_classes}."
            )
        check_class_names(self.class_names, self.num_classes)

    def _check_label_values(self, sample: Sample) -> None:
        labels = sample.labels
        legal = labels >= 0
        if self.kind == "classes":
            legal &= labels < self.num_classes
        if self.ignore_label is not None:
            legal |= labels == self.ignore_label
        if not legal.all():
            ids = "instance ids from 0" if self.kind == "instances" else f"classes 0 to {self.num_classes - 1}"
            ignored = "" if self.ignore_label is None else f" or the ignored {self.ignore_label}"
            raise ValueError(
                f"{sample.name}: labels outside the classes. Expected {ids}{ignored}. "
                f"Received {int(labels[~legal][0])}."
            )


def check_image(image: NDArray[Any], name: str) -> None:
    """Refuse an image no net can use.

    Args:
        image: should be `(height, width, channels)`, real numbers, all finite, at least one pixel.
        name: the file's name, for the message.

    Raises:
        ValueError: it is something else.
    """
    if image.ndim != 3:
        raise ValueError(f"{name}: expected an image (height, width, channels). Received shape {image.shape}.")
    if 0 in image.shape:
        raise ValueError(f"{name}: expected an image of at least 1 x 1 pixels. Received shape {image.shape}.")
    if image.dtype.kind not in "buif":
        raise ValueError(f"{name}: expected pixels that are real numbers. Received {image.dtype}.")
    check_finite(image, name)


def check_channels(channels: Sequence[tuple[str, int]]) -> None:
    """Refuse images that differ in their number of channels.

    Args:
        channels: Name and number of channels of each image.

    Raises:
        ValueError: Naming the first that differs from the one before all.
    """
    first, expected = channels[0]
    for name, received in channels:
        if received != expected:
            raise ValueError(
                f"{name}: channel counts differ within the data set. Expected {expected} as {first} has. "
                f"Received {received}."
            )


def _checked_labels(labels: NDArray[Any], name: str) -> NDArray[np.int32]:
    if labels.ndim != 2:
        raise ValueError(f"{name}: expected labels (height, width). Received shape {labels.shape}.")
    if labels.dtype.kind not in "bui":
        raise ValueError(f"{name}: expected labels that are integers. Received {labels.dtype}.")
    limits = np.iinfo(np.int32)
    if labels.size and (labels.max() > limits.max or labels.min() < limits.min):
        raise ValueError(f"{name}: expected labels up to {limits.max}. Received {labels.max()}.")
    return np.ascontiguousarray(labels, dtype=np.int32)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]}"
