"""tf.data pipelines: labelled images to the augmented, weighted tiles that `keras.Model.fit` takes.

Every batch is a function of (seed, batch number) alone: the same under any parallelism, and a run that is resumed at
batch n sees what an uninterrupted one would have seen.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.random_draws import draw
from keras_unet.augment.tile_augmenter import TileAugmenter
from keras_unet.augment.tile_warp import TileWarp
from keras_unet.models.geometry import Geometry
from keras_unet.pipeline.examples import Example
from keras_unet.pipeline.tile_position import SAMPLINGS, Sampling, window_corner
from keras_unet.preprocessing.image_statistics import normalized, pixel_statistics
from keras_unet.utils.argument_checks import whole_number


@runtime_checkable
class ExampleSource(Protocol):
    """Examples that a graph takes by their number, wherever they lie."""

    @property
    def channels(self) -> int:
        """Channels of every image."""

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of each image."""

    def __len__(self) -> int:
        """Count the examples."""

    def tensors(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Image `(height, width, channels)`, label and weight `(height, width)` number `index`."""


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
    worker: int = 0,
    workers: int = 1,
    stride: int = 1,
    cut_only: bool = False,
    sampling: Sampling = "uniform",
    normalize: bool = False,
) -> tf.data.Dataset:
    """Augmented tiles without end, for `model.fit(dataset, steps_per_epoch=…)`.

    An epoch shows each image once, in an order of its own. The output window of a tile lies at random about a pixel of
    its image (see `sampling`). What a tile has beyond the image is mirrored: pixels, labels and weights.

    Args:
        examples: From `prepare`; images may differ in size.
        geometry: Sizes of the net (`model.geometry`).
        input_size: Height and width of a tile in pixels, legal for the net.
        settings: How strongly tiles are varied; the defaults of `AugmentationSettings` if None.
        batch_size: Tiles per batch.
        seed: A whole number; with the batch number it decides everything random.
        first_batch: Number of the first batch: the step at which a run is resumed.
        parallel_calls: Tiles made at the same time; by default as many as tf.data finds useful.
        worker: Number of this worker process, from 0, where several train together.
        workers: How many there are. Each gets its equal share of every batch, and makes no other tile.
        stride: From one batch to the next; above 1 the batches in between are left to others.
        cut_only: Whether to leave the warp to `tile_warp`, which an accelerator may do.
        sampling: Where in its image a window lies before it is varied: its centre anywhere (`"uniform"`), or with a
            pixel in it that counts (`"annotated"`) or that is foreground (`"foreground"`), see `window_corner`.
        normalize: Whether each tile's pixels are normalised by the statistics of its whole image, for a net that
            normalises images and is called inside `keras_unet.preprocessing.pixel_normalization.pixels_are_normalized`.

    Returns:
        `(image, label, weight)`: `(batch, input_size, input_size, channels)` float32 raw pixels, and
        `(batch, output_size, output_size)` int32 and float32, where batch is `batch_size / workers`. With `cut_only`
        a `Cut` of that batch, of which `tile_warp` makes the same.

    Raises:
        ValueError: If there are no examples, `input_size` is illegal, or a number is out of range.
    """
    _check_examples(examples)
    input_size, batch_size = whole_number(input_size, "input_size"), whole_number(batch_size, "batch_size", 1)
    seed, first_batch = whole_number(seed, "seed"), whole_number(first_batch, "first_batch", 0)
    stride = whole_number(stride, "stride", 1)
    if not 0 <= worker < workers or batch_size % workers:
        raise ValueError(
            f"Expected a worker from 0 to workers - 1, and batch_size a multiple of workers. Received worker {worker} "
            f"of {workers} workers, batch_size {batch_size}."
        )
    if sampling not in SAMPLINGS:
        raise ValueError(f"Expected sampling among {', '.join(SAMPLINGS)}. Received {sampling!r}.")
    calls = tf.data.AUTOTUNE if parallel_calls is None else whole_number(parallel_calls, "parallel_calls", 1)
    source = examples if isinstance(examples, ExampleSource) else _InMemory(examples)
    settings = settings or AugmentationSettings()
    element = _element_maker(source, geometry, input_size, settings, seed, cut_only, sampling, normalize)
    share = batch_size // workers

    def of_share(number: tf.Tensor) -> Any:
        batch = first_batch + number // share * stride
        return element(batch * batch_size + worker * share + number % share)

    numbers = tf.data.Dataset.range(np.iinfo(np.int64).max)
    tiles = numbers.map(of_share, num_parallel_calls=calls, deterministic=True)
    return tiles.batch(share, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def tile_warp(
    geometry: Geometry, input_size: int, settings: AugmentationSettings | None = None, normalize: bool = False
) -> TileWarp:
    """The second half of `training_dataset` with `cut_only`: from a batch of cuts to image, label and weight.

    Args:
        geometry: As there, like what follows.
        input_size: Height and width of a tile in pixels.
        settings: How strongly tiles are varied.
        normalize: Whether pixels are normalised by the statistics of their image.
    """
    output_size = geometry.output_size(input_size)
    return TileWarp(
        settings or AugmentationSettings(),
        input_size=(input_size, input_size),
        output_size=(output_size, output_size),
        normalize=normalize,
    )


def _element_maker(
    source: ExampleSource,
    geometry: Geometry,
    input_size: int,
    settings: AugmentationSettings,
    seed: int,
    cut_only: bool,
    sampling: Sampling,
    normalize: bool,
) -> Callable[[tf.Tensor], Any]:
    """A function from an element's number to its tile, or what a tile is made of."""
    output_size = geometry.output_size(input_size)
    augmenter = TileAugmenter(
        settings,
        input_size=(input_size, input_size),
        output_size=(output_size, output_size),
        normalize=normalize,
        largest_image=_largest(source.sizes),
    )

    make = augmenter.cut if cut_only else augmenter.apply

    def element(number: tf.Tensor) -> Any:
        epoch, position = number // len(source), number % len(source)
        order = tf.stack([tf.constant(seed, tf.int64), epoch])
        index = tf.random.experimental.index_shuffle(position, order, len(source) - 1)
        image, label, weight = source.tensors(index)
        place, variation = tf.unstack(tf.random.split(tf.stack([tf.constant(seed, tf.int64), number]), 2))
        corner = window_corner(label, weight, output_size, place, sampling)
        centre, drawn = corner + (output_size - 1) / 2, draw(variation, settings)
        return make(image, label, weight, centre=centre, drawn=drawn)

    return element


def _sizes(examples: Sequence[Example]) -> Sequence[tuple[int, int]]:
    """Height and width of each image."""
    if isinstance(examples, ExampleSource):
        return examples.sizes
    return [(height, width) for height, width in (example.label.shape for example in examples)]


def _largest(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Height and width that no image exceeds."""
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def validation_dataset(
    examples: Sequence[Example], geometry: Geometry, input_size: int, batch_size: int = 1, normalize: bool = False
) -> tf.data.Dataset:
    """Every pixel of every image once, unvaried, in a fixed order.

    Args:
        examples: From `prepare`.
        geometry: Sizes of the net.
        input_size: Height and width of a tile in pixels, legal for the net.
        batch_size: Tiles per batch; the last batch may be smaller.
        normalize: Whether pixels are normalised by the statistics of their image, as in `training_dataset`.

    Returns:
        As `training_dataset`, but finite. Where a tile passes the image's end its weight is 0; all other weights are
        multiplied by one factor, pixels of all tiles over pixels of all images, so that the mean over the tiles, such
        as the `val_loss` of `fit`, is that over the images' pixels. Metrics leave out what lies beyond the images if
        they are named in `weighted_metrics`.

    Raises:
        ValueError: If there are no examples, `input_size` is illegal, or `batch_size` is.
    """
    _check_examples(examples)
    input_size, batch_size = whole_number(input_size, "input_size"), whole_number(batch_size, "batch_size", 1)
    output_size = geometry.output_size(input_size)
    channels = examples.channels if isinstance(examples, ExampleSource) else examples[0].image.shape[-1]
    sizes = _sizes(examples)
    count = sum(-(-height // output_size) * -(-width // output_size) for height, width in sizes)
    scale = np.float32(count * output_size**2 / sum(height * width for height, width in sizes))

    def tiles() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]]:
        for example in examples:
            height, width = example.label.shape
            statistics = pixel_statistics(example.image) if normalize else None
            for top, left in product(range(0, height, output_size), range(0, width, output_size)):
                image, label, weight = _plain_tile(example, top, left, input_size, output_size)
                yield image if statistics is None else normalized(image, statistics), label, weight * scale

    signature = (
        tf.TensorSpec((input_size, input_size, channels), tf.float32),
        tf.TensorSpec((output_size, output_size), tf.int32),
        tf.TensorSpec((output_size, output_size), tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(tiles, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))  # else Keras warns that it ran out of data
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _plain_tile(
    example: Example, top: int, left: int, input_size: int, output_size: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """The tile whose output window begins at (top, left): mirrored context, weight 0 outside the image."""
    height, width = example.label.shape
    margin = (input_size - output_size) // 2
    context = np.arange(input_size) - margin
    image = example.image[np.ix_(mirrored(top + context, height), mirrored(left + context, width))]
    window = np.arange(output_size)
    rows, columns = top + window, left + window
    inside = np.ix_(mirrored(rows, height), mirrored(columns, width))
    weight = np.where((rows < height)[:, None] & (columns < width), example.weight[inside], np.float32(0))
    return image.astype(np.float32), example.label[inside], weight


def mirrored(index: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    """Indices folded into 0 … size - 1 as numpy's "reflect" does."""
    period = max(2 * (size - 1), 1)
    folded = np.abs(index) % period
    return np.asarray(np.minimum(folded, period - folded))


def _check_examples(examples: Sequence[Example]) -> None:
    if not examples:
        raise ValueError("Expected at least one example. Received none.")
    if isinstance(examples, ExampleSource):
        return
    channels = {example.image.shape[-1] for example in examples}
    if len(channels) > 1:
        raise ValueError(f"Expected images of one channel count. Received {sorted(channels)}.")


class _InMemory:
    """Examples at hand, as constants of the graph."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.channels = examples[0].image.shape[-1]
        self.sizes = _sizes(examples)
        self._count = len(examples)
        self._images = _Store([example.image for example in examples])
        self._labels = _Store([example.label[..., None] for example in examples])
        self._weights = _Store([example.weight[..., None] for example in examples])

    def __len__(self) -> int:
        return self._count

    def tensors(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Image, label and weight number `index`."""
        return self._images[index], self._labels[index][..., 0], self._weights[index][..., 0]


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
