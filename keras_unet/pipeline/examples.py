"""Labelled images made ready for training: classes with the separation border cut, and the weights of equation 2."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.datasets.shard_reader import ShardedImages
from keras_unet.losses.weight_maps import LARGEST_RATIO, border_term, class_weights_from_counts

ClassWeights = Literal["balanced"] | Sequence[float] | None


@dataclass(frozen=True, eq=False)
class Example:
    """One image ready for training.

    Args:
        name: For messages.
        image: `(height, width, channels)`, raw pixels.
        label: `(height, width)` int32 classes. Instances are foreground (1) with the separation border cut (0).
        weight: `(height, width)` float32, equation 2.
        instances: `(height, width)` int32 object ids, 0 background: those given, or the 4-connected components of
            each foreground class.
    """

    name: str
    image: NDArray[Any]
    label: NDArray[np.int32]
    weight: NDArray[np.float32]
    instances: NDArray[np.int32]


def class_balance(data: LabelledImages, say: Callable[[str], object] = warnings.warn) -> tuple[float, ...]:
    """Class weights w_c that balance the class frequencies of a whole data set, as `class_weights_from_counts` does.

    Args:
        data: The training set.
        say: Takes a sentence about each class that is absent, or so rare that its weight is limited.
    """
    counts = _class_counts(data)
    weights = class_weights_from_counts(counts)
    for sentence in _extremes(data.class_names, counts, weights):
        say(sentence)
    return tuple(float(weight) for weight in weights)


def _extremes(names: Sequence[str], counts: NDArray[np.int64], weights: NDArray[np.float64]) -> Iterator[str]:
    for name, count, weight in zip(names, counts, weights, strict=True):
        if not count:
            yield f"No training image has a pixel of class {name!r}: the net cannot learn it."
        elif LARGEST_RATIO * count < counts.max():
            yield (
                f"Class {name!r} has only {count:,} of {counts.sum():,} pixels: its weight is limited to {weight:.3g}, "
                f"{LARGEST_RATIO:g} times that of the most frequent class. Are its labels right?"
            )


def _class_counts(data: LabelledImages) -> NDArray[np.int64]:
    """Pixels of each class, those without meaning left out."""
    if isinstance(data, ShardedImages):
        return data.class_counts
    counts = np.zeros(data.num_classes, np.int64)
    for sample in data:
        label = _classes(sample, data)
        valid = label[label != data.ignore_label] if data.ignore_label is not None else label
        counts += np.bincount(valid.ravel(), minlength=data.num_classes)
    return counts


def prepare(
    data: LabelledImages,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: ClassWeights = None,
) -> Sequence[Example]:
    """Class labels and weight maps of a data set, computed once; of shards, which hold them, when they are wanted.

    Args:
        data: What a reader of `keras_unet.datasets` returned.
        w0: Height of the border term of equation 2; 0 leaves it out.
        sigma: Width of the border term in pixels.
        class_weights: None for 1, so that a probability is the share of pixels that are of the class; `"balanced"`
            (`class_balance(data)`), with which rare classes are found more often than they occur; or one per class.

    Raises:
        ValueError: If the number of class weights is not the number of classes, or shards were written with another
            border term.
    """
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise ValueError(f'Expected class_weights "balanced", None or numbers. Received {class_weights!r}.')
        class_weights = class_balance(data)
    weights = np.ones(data.num_classes) if class_weights is None else np.asarray(class_weights, np.float64)
    if weights.shape != (data.num_classes,):
        raise ValueError(f"Expected {data.num_classes} class weights, one per class. Received {weights.tolist()}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(f"Expected class weights of at least 0, not all of them 0. Received {weights.tolist()}.")
    if isinstance(data, ShardedImages):
        return ShardedExamples(data, w0, sigma, weights.astype(np.float32))
    return tuple(_example(sample, data, w0, sigma, weights.astype(np.float32)) for sample in data)


class ShardedExamples(Sequence[Example]):
    """Examples in shards: training takes them within its graph, what else is asked for is computed from the labels.

    Args:
        data: Where they lie.
        w0: Height of the border term; 0, or that of the shards.
        sigma: Its width in pixels; that of the shards if `w0` is not 0.
        class_weights: One per class.

    Raises:
        ValueError: If the shards were written with another border term.
    """

    def __init__(self, data: ShardedImages, w0: float, sigma: float, class_weights: NDArray[np.float32]) -> None:
        written = data.samples.w0, data.samples.sigma
        if w0 and (w0, sigma) != written:
            raise ValueError(
                f"Expected loss.w0 = {written[0]:g} and loss.sigma = {written[1]:g}, which the shards were written "
                f"with. Received {w0:g} and {sigma:g}: write them again, or train with theirs."
            )
        self._data, self._w0, self._sigma, self._class_weights = data, w0, sigma, class_weights

    def __len__(self) -> int:
        """Count the examples."""
        return len(self._data)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        """Read one example; of a slice nothing yet."""
        if isinstance(index, slice):
            chosen = self._data.subset(range(len(self))[index])
            return ShardedExamples(chosen, self._w0, self._sigma, self._class_weights)
        return _example(self._data[index], self._data, self._w0, self._sigma, self._class_weights)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self._data.channels

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of each image."""
        return self._data.sizes

    def tensors(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Image, label and weight number `index`, a scalar tensor, within a graph."""
        image, label, border = self._data.samples.tensors(index)
        ignore = self._data.ignore_label
        ignored = tf.zeros_like(label, tf.bool) if ignore is None else tf.equal(label, ignore)
        weight = tf.gather(self._class_weights, tf.where(ignored, 0, label))
        if self._w0:
            weight += border
        return image, label, tf.where(ignored, 0.0, weight)


def classes_and_border(
    sample: Sample, data: LabelledImages, w0: float, sigma: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Class label and border term of a sample, `(height, width)` each: what is independent of class weights."""
    example = _example(sample, data, w0, sigma, np.zeros(data.num_classes, np.float32))
    return example.label, example.weight


def _example(
    sample: Sample, data: LabelledImages, w0: float, sigma: float, class_weights: NDArray[np.float32]
) -> Example:
    label, instances = _classes(sample, data), true_objects(sample.labels, data.kind, data.ignore_label)
    ignored = np.zeros(label.shape, bool) if data.ignore_label is None else label == data.ignore_label
    weight = class_weights[np.where(ignored, 0, label)]
    if w0:
        weight = weight + np.where(label == 0, border_term(instances, w0, sigma), np.float32(0))
    weight[ignored] = 0.0
    return Example(sample.name, sample.image, label, weight.astype(np.float32), instances)


def _classes(sample: Sample, data: LabelledImages) -> NDArray[np.int32]:
    return true_classes(sample.labels, data.kind, data.ignore_label)
