"""Images beside their truth: what figures are taken of. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_unet.datasets.base import Kind
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics import scores

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class JudgedImage:
    """An image's truth beside its result, arrays `(height, width)` throughout.

    Args:
        name: For tables.
        truth: Classes; anything where pixels do not count.
        counted: Which pixels count.
        found: Classes of the result.
        matrix: Pixel counts `(classes, classes)`, row the truth, column the result.
        cell: Probability of foreground, 0 where pixels do not count; None for more than two classes.
        objects: Ids of the truth's objects.
        found_objects: Ids of the result's objects where it has them; None to find them in `cell`.
    """

    name: str
    truth: npt.NDArray[Any]
    counted: npt.NDArray[np.bool_]
    found: npt.NDArray[Any]
    matrix: npt.NDArray[np.int64]
    cell: npt.NDArray[np.float32] | None
    objects: Labels
    found_objects: Labels | None = None

    def objects_by(self, settings: InstanceSettings) -> Labels:
        """Ids of the result's objects `(height, width)`: its own, or else those found in its probability.

        Raises:
            ValueError: If it has neither.
        """
        if self.found_objects is not None:
            return self.found_objects
        if self.cell is None:
            raise ValueError(f"{self.name}: expected a result of two classes. Received one of more.")
        return settings.find(self.cell)


@dataclass(frozen=True)
class Scope:
    """What images are judged by.

    Args:
        class_names: Background first.
        kind: Whether the truth has classes or instances.
        probabilities: Whether the results are probabilities; labels count as probabilities 0 and 1.
        instances: How objects are told apart.
    """

    class_names: tuple[str, ...]
    kind: Kind
    probabilities: bool = True
    instances: InstanceSettings = InstanceSettings()


def judge(
    name: str,
    labels: tuple[Labels, Labels],
    result: npt.NDArray[Any],
    num_classes: int,
    ignore_label: int | None = None,
    found_objects: Labels | None = None,
) -> JudgedImage:
    """Lay a result beside its truth.

    Args:
        name: For tables.
        labels: Classes and object ids of the truth, `(height, width)` each.
        result: Classes `(height, width)`, integers; or probabilities `(height, width, num_classes)`, of two classes
            also `(height, width, 1)`, that of the foreground.
        num_classes: Background included.
        ignore_label: Label of the pixels to leave out, or None.
        found_objects: Ids of the result's objects where it has them.

    Raises:
        ValueError: If shapes do not go together, labels are no classes, or probabilities are NaN.
    """
    truth, objects = labels
    if result.dtype.kind == "f" and np.isnan(result).any():
        raise ValueError(f"{name}: expected probabilities. Received NaN.")
    found = _classes(result) if result.ndim == 3 else result
    matrix = scores.confusion_matrix(truth, found, num_classes, ignore_label)
    counted = np.ones(truth.shape, bool) if ignore_label is None else np.asarray(truth != ignore_label)
    cell = None
    if num_classes == 2:
        cell = np.where(counted, result[..., -1] if result.ndim == 3 else result, 0).astype(np.float32)
    small = np.uint8 if num_classes <= 256 else np.uint16
    if found_objects is not None:
        found_objects = np.where(counted, found_objects, 0)
    kept = np.where(counted, truth, 0).astype(small)
    return JudgedImage(name, kept, counted, found.astype(small), matrix, cell, objects, found_objects)


class Judgement:
    """What several metrics need of the images, made once."""

    def __init__(self, images: Sequence[JudgedImage], scope: Scope) -> None:
        self.images, self.scope = images, scope

    @cached_property
    def matrix(self) -> npt.NDArray[np.int64]:
        """Pixel counts `(classes, classes)` over all images, row the truth, column the result."""
        return np.asarray(np.sum([image.matrix for image in self.images], axis=0), np.int64)

    @cached_property
    def cells(self) -> list[npt.NDArray[np.float32]]:
        """Probability of foreground of each image of two classes."""
        return [image.cell for image in self.images if image.cell is not None]

    @cached_property
    def truths(self) -> list[npt.NDArray[np.bool_]]:
        """Foreground `(height, width)` of each image, where pixels count."""
        return [(image.truth == 1) & image.counted for image in self.images]

    @cached_property
    def stacks(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Foreground and its probability, `(images, height, width)` each."""
        return _stacked(self.truths), _stacked(self.cells)

    @cached_property
    def objects(self) -> list[Labels]:
        """Ids of the truth's objects, `(height, width)` of each image."""
        return [image.objects for image in self.images]

    @cached_property
    def found_objects(self) -> list[Labels]:
        """Ids of the result's objects, as given or else found in its probability."""
        return [image.objects_by(self.scope.instances) for image in self.images]

    @cached_property
    def has_objects(self) -> bool:
        """Whether the truth of any image has one."""
        if self.scope.kind == "instances":
            return any(bool(ids.any()) for ids in self.objects)
        return bool(self.matrix[1:].any())


def _stacked(planes: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Images of any sizes as `(images, height, width)`. Background added below and right adds to no error."""
    height, width = (max(plane.shape[axis] for plane in planes) for axis in (0, 1))
    return np.stack([np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]))) for p in planes])


def _classes(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] > 0.5).astype(np.int64)
    return np.asarray(np.argmax(probabilities, axis=-1), np.int64)
