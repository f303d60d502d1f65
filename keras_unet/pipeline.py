"""tf.data pipelines: labelled images to the augmented, weighted tiles that `keras.Model.fit` takes.

Every batch is a function of (seed, batch number) alone: the same under any parallelism, and a run that is resumed at
batch n sees what an uninterrupted one would have seen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.arguments import whole_number
from keras_unet.augment import AugmentationSettings, TileAugmenter
from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.geometry import Geometry
from keras_unet.instances import class_components
from keras_unet.weight_maps import border_term, class_weights_from_counts, separation_border

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


def class_balance(data: LabelledImages) -> tuple[float, ...]:
    """Class weights w_c that balance the class frequencies of a whole data set: inverse frequency, largest 1."""
    counts = np.zeros(data.num_classes, np.int64)
    for sample in data:
        label = _classes(sample, data)
        valid = label[label != data.ignore_label] if data.ignore_label is not None else label
        counts += np.bincount(valid.ravel(), minlength=data.num_classes)
    return tuple(float(weight) for weight in class_weights_from_counts(counts))


def prepare(
    data: LabelledImages,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: ClassWeights = "balanced",
) -> tuple[Example, ...]:
    """Class labels and weight maps of a data set, computed once.

    Args:
        data: What a reader of `keras_unet.datasets` returned.
        w0: Height of the border term of equation 2; 0 leaves it out.
        sigma: Width of the border term in pixels.
        class_weights: `"balanced"` (`class_balance(data)`), one weight per class, or None for 1.

    Raises:
        ValueError: If the number of class weights is not the number of classes.
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
    return tuple(_example(sample, data, w0, sigma, weights.astype(np.float32)) for sample in data)


def _example(
    sample: Sample, data: LabelledImages, w0: float, sigma: float, class_weights: NDArray[np.float32]
) -> Example:
    label, instances = _classes(sample, data), _instances(sample, data)
    ignored = np.zeros(label.shape, bool) if data.ignore_label is None else label == data.ignore_label
    weight = class_weights[np.where(ignored, 0, label)]
    if w0:
        weight = weight + np.where(label == 0, border_term(instances, w0, sigma), np.float32(0))
    weight[ignored] = 0.0
    return Example(sample.name, sample.image, label, weight.astype(np.float32), instances)


def _classes(sample: Sample, data: LabelledImages) -> NDArray[np.int32]:
    if data.kind == "classes":
        return sample.labels
    label = (separation_border(_instances(sample, data)) > 0).astype(np.int32)
    return label if data.ignore_label is None else np.where(sample.labels == data.ignore_label, sample.labels, label)


def _instances(sample: Sample, data: LabelledImages) -> NDArray[np.int32]:
    labels = sample.labels
    if data.ignore_label is not None:
        labels = np.where(labels == data.ignore_label, 0, labels)
    return labels if data.kind == "instances" else class_components(labels)


def training_dataset(
    examples: Sequence[Example],
    geometry: Geometry,
    input_size: int,
    *,
    settings: AugmentationSettings | None = None,
    batch_size: int = 1,
    seed: int = 0,
    first_batch: int = 0,
    parallel_calls: int | None = None,
) -> tf.data.Dataset:
    """Augmented tiles without end, for `model.fit(dataset, steps_per_epoch=…)`.

    An epoch shows each image once, in an order of its own. The output window of a tile lies at random inside its
    image; what the net needs beyond the image is mirrored.

    Args:
        examples: From `prepare`; images may differ in size.
        geometry: Sizes of the net (`model.geometry`).
        input_size: Height and width of a tile in pixels, legal for the net.
        settings: How strongly tiles are varied; the defaults of `AugmentationSettings` if None.
        batch_size: Tiles per batch.
        seed: A whole number; with the batch number it decides everything random.
        first_batch: Number of the first batch: the step at which a run is resumed.
        parallel_calls: Tiles made at the same time; by default as many as tf.data finds useful.

    Returns:
        `(image, label, weight)`: `(batch, input_size, input_size, channels)` float32 raw pixels, and
        `(batch, output_size, output_size)` int32 and float32.

    Raises:
        ValueError: If there are no examples, `input_size` is illegal, or a number is out of range.
    """
    _check_examples(examples)
    input_size, batch_size = whole_number(input_size, "input_size"), whole_number(batch_size, "batch_size", 1)
    seed, first_batch = whole_number(seed, "seed"), whole_number(first_batch, "first_batch", 0)
    calls = tf.data.AUTOTUNE if parallel_calls is None else whole_number(parallel_calls, "parallel_calls", 1)
    element = _element_maker(examples, geometry, input_size, settings or AugmentationSettings(), seed)
    numbers = tf.data.Dataset.range(first_batch * batch_size, np.iinfo(np.int64).max)
    tiles = numbers.map(element, num_parallel_calls=calls, deterministic=True)
    return tiles.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _element_maker(
    examples: Sequence[Example], geometry: Geometry, input_size: int, settings: AugmentationSettings, seed: int
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """A function from an element's number to its tile."""
    output_size = geometry.output_size(input_size)
    images = _Store([example.image for example in examples])
    labels = _Store([example.label[..., None] for example in examples])
    weights = _Store([example.weight[..., None] for example in examples])
    shapes = [example.label.shape for example in examples]
    augmenter = TileAugmenter(
        settings,
        input_size=(input_size, input_size),
        output_size=(output_size, output_size),
        value_range=value_range(examples),
        largest_image=(max(height for height, _ in shapes), max(width for _, width in shapes)),
    )

    def element(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        epoch, position = number // len(examples), number % len(examples)
        order = tf.stack([tf.constant(seed, tf.int64), epoch])
        index = tf.random.experimental.index_shuffle(position, order, len(examples) - 1)
        image, label, weight = images[index], labels[index][..., 0], weights[index][..., 0]
        place, variation = tf.unstack(tf.random.split(tf.stack([tf.constant(seed, tf.int64), number]), 2))
        free = tf.cast(tf.shape(label) - output_size, tf.float32)
        # Where the image is no larger than the window the tile sits in its middle.
        corner = tf.where(free > 0, tf.floor(tf.random.stateless_uniform([2], place) * (free + 1.0)), free // 2.0)
        return augmenter(image, label, weight, centre=corner + (output_size - 1) / 2, seed=variation)

    return element


def value_range(examples: Sequence[Example]) -> tuple[float, float]:
    """Lowest and highest pixel of the images; of flat images the highest is taken as one more."""
    low = min(float(example.image.min()) for example in examples)
    high = max(float(example.image.max()) for example in examples)
    return low, high if high > low else low + 1.0


def validation_dataset(
    examples: Sequence[Example], geometry: Geometry, input_size: int, batch_size: int = 1
) -> tf.data.Dataset:
    """Every pixel of every image once, unvaried, in a fixed order.

    Args:
        examples: From `prepare`.
        geometry: Sizes of the net.
        input_size: Height and width of a tile in pixels, legal for the net.
        batch_size: Tiles per batch; the last batch may be smaller.

    Returns:
        As `training_dataset`, but finite. Where a tile passes the image's end its weight is 0.

    Raises:
        ValueError: If there are no examples, `input_size` is illegal, or `batch_size` is.
    """
    _check_examples(examples)
    input_size, batch_size = whole_number(input_size, "input_size"), whole_number(batch_size, "batch_size", 1)
    output_size = geometry.output_size(input_size)
    channels = examples[0].image.shape[-1]

    def tiles() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]]:
        for example in examples:
            height, width = example.label.shape
            for top, left in product(range(0, height, output_size), range(0, width, output_size)):
                yield _plain_tile(example, top, left, input_size, output_size)

    signature = (
        tf.TensorSpec((input_size, input_size, channels), tf.float32),
        tf.TensorSpec((output_size, output_size), tf.int32),
        tf.TensorSpec((output_size, output_size), tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(tiles, output_signature=signature)
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _plain_tile(
    example: Example, top: int, left: int, input_size: int, output_size: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """The tile whose output window begins at (top, left): mirrored context, weight 0 outside the image."""
    height, width = example.label.shape
    margin = (input_size - output_size) // 2
    context = np.arange(input_size) - margin
    image = example.image[np.ix_(_mirror(top + context, height), _mirror(left + context, width))]
    window = np.arange(output_size)
    rows, columns = top + window, left + window
    inside = np.ix_(_mirror(rows, height), _mirror(columns, width))
    weight = np.where((rows < height)[:, None] & (columns < width), example.weight[inside], np.float32(0))
    return image.astype(np.float32), example.label[inside], weight


def _mirror(index: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    """Indices folded into 0 … size - 1 as numpy's "reflect" does."""
    period = max(2 * (size - 1), 1)
    folded = np.abs(index) % period
    return np.asarray(np.minimum(folded, period - folded))


def _check_examples(examples: Sequence[Example]) -> None:
    if not examples:
        raise ValueError("Expected at least one example. Received none.")
    channels = {example.image.shape[-1] for example in examples}
    if len(channels) > 1:
        raise ValueError(f"Expected images of one channel count. Received {sorted(channels)}.")


class _Store:
    """Arrays of different sizes in one flat tensor, so that any of them can be had by a tensor's index.

    Args:
        arrays: `(height, width, channels)` each, of one dtype and channel count.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        sizes = [array.size for array in arrays]
        dtype = np.result_type(*arrays)
        self._values = tf.constant(np.concatenate([array.ravel().astype(dtype) for array in arrays]))
        self._starts = tf.constant(np.concatenate([[0], np.cumsum(sizes)[:-1]]), tf.int64)
        self._shapes = tf.constant([array.shape for array in arrays], tf.int64)
        self._channels = arrays[0].shape[-1]

    def __getitem__(self, index: tf.Tensor) -> tf.Tensor:
        """Array number `index`, a scalar tensor."""
        shape, start = self._shapes[index], self._starts[index]
        values = tf.reshape(self._values[start : start + tf.reduce_prod(shape)], shape)
        return tf.ensure_shape(values, (None, None, self._channels))
