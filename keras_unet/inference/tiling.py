"""Overlap-tile inference on images of any size, in TensorFlow operations (figure 2 of the paper).

One implementation serves `predict`, the command line and the exported graph. A strip as high as a tile is gathered from
the image by index, its tiles run through the net in batches, and the finished strips are stacked: beyond input and
output, memory holds one strip and one batch of tiles, whatever the size of the image.

A U-Net of depth d is equivariant to shifts by 2**d pixels only, so tiles start at multiples of that: tiled output then
equals one pass over the mirrored image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_unet.inference.forward import Forward, check_averaging, from_logits, logits, probabilities
from keras_unet.inference.rotated_versions import ROTATIONS, averaged_scores
from keras_unet.inference.tile_sizes import (
    check_batch_size,
    check_tile,
    default_tile,
    free_memory,
    largest_tile,
    tile_context,
)
from keras_unet.models.geometry import Geometry
from keras_unet.preprocessing.image_statistics import normalized as normalized_pixels
from keras_unet.preprocessing.image_statistics import pixel_statistics
from keras_unet.preprocessing.pixel_normalization import normalized, statistics_of
from keras_unet.utils.argument_checks import refuse_path

# Weak keys: a model that is dropped takes its compiled functions along.
_compiled: WeakKeyDictionary[Any, dict[Any, Callable[[tf.Tensor], tf.Tensor]]] = WeakKeyDictionary()
_UNKNOWN_TILE = 572, 572  # pixels, the paper's
_default_tilers: WeakKeyDictionary[Any, "Tiler"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Tiler:
    """Cuts images into overlapping tiles and joins what a net makes of them.

    Rows and columns are split alike: as few tiles as `tile` permits, all of the same size and evenly filled, so a small
    image takes a small tile. Each tile contributes a multiple of `geometry.stride` pixels. What it needs beyond the
    image is mirrored without repeating the edge pixel (numpy's `reflect`), as often as necessary.

    Args:
        geometry: Sizes of the net.
        tile: `(height, width)` in input pixels of the largest tile, context included: (572, 572) in the paper.
        batch_size: The most tiles in one call of the net. All tiles of a row come from batches of one size, so every
            pixel has the same bits whichever images it is batched with.

    Raises:
        ValueError: If `tile` is not a size that advances by a multiple of the stride; the nearest legal are named.
    """

    geometry: Geometry
    tile: tuple[int, int]
    batch_size: int = 1

    def __post_init__(self) -> None:
        for size, axis in zip(self.tile, ("height", "width"), strict=True):
            check_tile(self.geometry, size, axis)
        object.__setattr__(self, "batch_size", check_batch_size(self.batch_size))

    def __call__(
        self, images: tf.Tensor, forward: Forward, pixel: tf.TensorSpec, statistics: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Run `forward` over `images` tile by tile, eagerly or in a graph of open sizes.

        Args:
            images: `(batch, height, width, channels)`, any real dtype, at least one pixel each.
            forward: From `(tiles, tile_height, tile_width, channels)` float32 to one value per output pixel.
            pixel: Shape and dtype of what `forward` gives per pixel: `(num_classes,)` float32 for probabilities.
            statistics: `(batch, 2, channels)` by which pixels are normalised before `forward` sees them; None for raw
                pixels.

        Returns:
            `(batch, height, width, *pixel.shape)` in the dtype of `pixel`.
        """
        shape = tf.concat([tf.shape(images)[:3], pixel.shape.as_list()], axis=0)
        result = tf.cond(
            shape[0] > 0,
            lambda: self._join(forward, images, pixel, statistics),
            # Stacking no strips at all has no shape to go by.
            lambda: tf.zeros(shape, pixel.dtype),
        )
        return tf.ensure_shape(result, [*images.shape[:3], *pixel.shape])

    def split(self, size: Any, axis: int) -> tuple[Any, Any]:
        """Number of tiles along an axis of `size` pixels, and the pixels each contributes.

        Args:
            size: Pixels of the image, a Python integer or an int32 tensor.
            axis: 0 for rows, 1 for columns.
        """
        stride = self.geometry.stride
        count = _ceil_div(size, self.tile[axis] - tile_context(self.geometry))
        return count, _ceil_div(_ceil_div(size, count), stride) * stride

    def contribution(self, forward: Forward, tiles: tf.Tensor, advance: Any, step: Any) -> tf.Tensor:
        """`(batch, advance, step, *pixel.shape)` of tiles `(batch, height, width, channels)`, as `split` gave them."""
        return self._kept(forward(tf.cast(tiles, tf.float32)), advance, step)

    def _join(
        self, forward: Forward, images: tf.Tensor, pixel: tf.TensorSpec, statistics: tf.Tensor | None
    ) -> tf.Tensor:
        """Strips of all images below each other, then cut to size."""
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        rows, advance = self.split(height, 0)
        lines = tf.reshape(images, [batch * height, width, images.shape[-1]])  # a view: no copy of the images

        def strip(index: tf.Tensor) -> tf.Tensor:
            first = index % rows * advance - self.geometry.margin
            line = mirror(first + tf.range(advance + tile_context(self.geometry)), height)
            pixels = _finite(tf.gather(lines, index // rows * height + line))
            if statistics is not None:
                pixels = normalized(pixels, statistics[index // rows])
            return self._strip(forward, pixels, advance, pixel)

        strips = _stack(strip, batch * rows, (None, None, *pixel.shape), pixel.dtype)
        return tf.cond(
            batch > 1,
            lambda: tf.reshape(strips, [batch, rows * advance, width, *pixel.shape])[:, :height],
            lambda: _leading(strips, [batch, height, width, *pixel.shape]),
        )

    def _strip(self, forward: Forward, lines: tf.Tensor, advance: tf.Tensor, pixel: tf.TensorSpec) -> tf.Tensor:
        """`(advance, width, *pixel.shape)` from the `(tile_height, width, channels)` lines it depends on."""
        width = tf.shape(lines)[1]
        columns, step = self.split(width, 1)
        batches = _ceil_div(columns, self.batch_size)
        tiles = _ceil_div(columns, batches)  # the last batch may run past the image; that is cut off below

        def batch(index: tf.Tensor) -> tf.Tensor:
            first = (index * tiles + tf.range(tiles)) * step - self.geometry.margin
            column = mirror(first[:, None] + tf.range(step + tile_context(self.geometry)), width)
            patches = tf.transpose(tf.gather(lines, column, axis=1), [1, 0, 2, 3])  # (tiles, height, width, channels)
            return _swapped(self.contribution(forward, patches, advance, step), 1)

        # Columns before rows, so that what runs past the image is at the end.
        joined = _stack(batch, batches, (None, None, None, *pixel.shape), pixel.dtype)
        return _swapped(_leading(joined, [width, advance, *pixel.shape]), 0)  # (row, column, …)

    def _kept(self, output: tf.Tensor, advance: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """The part of a tile's output that is free of padding and not the next tile's."""
        first = self.geometry.margin if self.geometry.padding == "same" else 0
        return output[:, first : first + advance, first : first + step]


def predict(
    model: Any,
    image: npt.ArrayLike,
    *,
    tile: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    averaging: str = "none",
) -> npt.NDArray[np.float32]:
    """Class probabilities of every pixel of an image of any size, by overlap-tile.

    Mirrored borders; equal to one pass over the mirrored image unless `model.exact_tiling` is false. Models of fixed
    input size take tiles of any size too. The first call compiles; later ones, of any image size, do not.

    Args:
        model: A `UNet`.
        image: `(height, width)` for one channel, `(height, width, channels)` or `(batch, height, width, channels)`;
            raw pixels of any real dtype.
        tile: Height and width in pixels of the largest input tile, context included (572 in the paper), one number for
            a square. Larger tiles spend less on context. By default as large as a quarter of the free memory permits,
            at most 1024; where `model.exact_tiling` is false, the training tile.
        batch_size: The most tiles in one call of the net; pays on a GPU.
        averaging: Test-time averaging: logits are averaged over `"flips"` (4), `"rotations"` (4) or `"square"` (all 8
            symmetries) of each tile, at as many times the cost; or over `"rotations7"`, seven versions of the whole
            image in steps of 360/7 degrees, our reading of the paper's "7 rotated versions". Turned versions are read
            bilinearly, are larger by their corners and by the net's margin, and are held in memory one at a time.

    Returns:
        `(height, width, num_classes)` float32, or `(batch, height, width, num_classes)` for a batch: softmax, or the
        sigmoid of the one logit if `num_classes` is 1.

    Raises:
        ValueError: If rank, channels, dtype, size or pixel values of `image`, `tile` or `averaging` are not fit.

    Reference:
        Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, figure 2.
    """
    check_averaging(averaging, whole_images=True)
    pixels = _checked_image(image, model.channels)
    tiler = tiler_for(model, tile, batch_size)
    batch = pixels if pixels.ndim == 4 else pixels[None]
    if averaging in ROTATIONS:
        result = np.empty((*batch.shape[:3], model.num_classes), np.float32)
        for index, whole in enumerate(batch):
            result[index] = _averaged_over_versions(model, tiler, whole, averaging)
    else:
        result = _compiled_for(model, tiler, pixels.dtype, averaging)(tf.convert_to_tensor(batch)).numpy()
    return result if pixels.ndim == 4 else result[0]


def _averaged_over_versions(
    model: Any, tiler: Tiler, image: npt.NDArray[Any], averaging: str
) -> npt.NDArray[np.float32]:
    """`(height, width, num_classes)` probabilities of an image, its rotated versions segmented one after the other."""
    segment = _compiled_for(model, tiler, np.dtype(np.float32), None)
    if model.normalizes_images:
        image = normalized_pixels(image, pixel_statistics(image))

    def scores(version: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return np.asarray(segment(tf.convert_to_tensor(version[None].astype(np.float32, copy=False)))[0])

    averaged = averaged_scores(image, ROTATIONS[averaging], model.geometry, scores)
    return np.asarray(from_logits(tf.convert_to_tensor(averaged)))


def tiler_for(
    model: Any, tile: int | tuple[int, int] | None = None, batch_size: int = 1, memory: int | None = None
) -> Tiler:
    """The tiler of a model: `tile` as in `predict`, or chosen for `memory` bytes, by default a quarter of what is free.

    Where the result depends on the tile it is not chosen by memory, but is the training tile, or 572 pixels if that is
    not known.

    The choice by free memory is made once per model, so that later calls use the function compiled for it.

    Raises:
        ValueError: If `tile` or `batch_size` is illegal.
    """
    batch_size = check_batch_size(batch_size)
    if tile is None and not model.exact_tiling:
        height, width = model.training_tile or _UNKNOWN_TILE
        tile = largest_tile(model.geometry, height), largest_tile(model.geometry, width)
    if tile is not None:
        return Tiler(model.geometry, _height_and_width(tile), batch_size)
    if memory is None and model in _default_tilers and _default_tilers[model].batch_size == batch_size:
        return _default_tilers[model]
    budget = free_memory() // 4 if memory is None else memory
    side = default_tile(model.geometry, model.get_config()["filters"], budget // batch_size)
    tiler = Tiler(model.geometry, (side, side), batch_size)
    if memory is None:
        _default_tilers[model] = tiler
    return tiler


def _height_and_width(tile: Any) -> tuple[int, int]:
    sizes = np.asarray(tile)
    if sizes.dtype.kind not in "iu" or sizes.shape not in ((), (2,)):
        raise ValueError(f"Expected a tile as one whole number of pixels or (height, width). Received {tile!r}.")
    height, width = np.broadcast_to(sizes, 2).tolist()
    return height, width


def mirror(index: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Indices of the pixels that stand at `index` of an axis mirrored at both ends without repeating the edge.

    Args:
        index: int32, any shape, negative or past the end by any number of pixels.
        size: Pixels of the axis, at least 1.

    Reference:
        numpy.pad, mode "reflect".
    """
    period = tf.maximum(2 * (size - 1), 1)
    folded = tf.math.floormod(tf.abs(index), period)
    return tf.minimum(folded, period - folded)


def _stack(element: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor, shape: Any, dtype: tf.DType) -> tf.Tensor:
    """`element(0)`, `element(1)`, … stacked; computed one after the other, so that only one is in the making."""
    array = tf.TensorArray(dtype, size=count, element_shape=shape)
    _, array = tf.while_loop(
        lambda index, _: index < count,
        lambda index, array: (index + 1, array.write(index, element(index))),
        (tf.constant(0), array),
        parallel_iterations=1,
    )
    return array.stack()


def _leading(values: tf.Tensor, shape: Any) -> tf.Tensor:
    """The leading elements of `values`, as many as fill `shape`.

    A slice of a vector from its start shares the memory; of any other tensor it is a copy.
    """
    size = tf.reduce_prod(tf.cast(shape, tf.int64))
    return tf.reshape(tf.reshape(values, [-1])[:size], shape)


def _swapped(values: tf.Tensor, axis: int) -> tf.Tensor:
    """`values` with `axis` and the next exchanged."""
    order = list(range(values.shape.rank))
    order[axis : axis + 2] = axis + 1, axis
    return tf.transpose(values, order)


def _finite(pixels: tf.Tensor) -> tf.Tensor:
    if not pixels.dtype.is_floating:
        return pixels
    return tf.debugging.check_numerics(pixels, "Expected finite pixel values. Received NaN or infinity")


def _ceil_div(a: Any, b: Any) -> Any:
    return (a + b - 1) // b


def _compiled_for(
    model: Any, tiler: Tiler, dtype: np.dtype[Any], averaging: str | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The compiled function of a model; if `averaging` is None, from images that are normalised to logits.

    Its axes are open, so that each image size does not cost another trace.
    """
    functions = _compiled.setdefault(model, {})
    key = (tiler, dtype.str, averaging)
    if key not in functions:
        weak = ref(model)

        def segment(images: tf.Tensor) -> tf.Tensor:
            net: Any = weak()
            if averaging is None:
                return tiler(images, *logits(net))
            statistics = statistics_of(images) if net.normalizes_images else None
            return tiler(images, *probabilities(net, averaging), statistics)

        images = tf.TensorSpec((None, None, None, model.channels), dtype)
        functions[key] = tf.function(segment, input_signature=[images], autograph=False)
    return functions[key]


def _checked_image(image: npt.ArrayLike, channels: int) -> npt.NDArray[Any]:
    """The image as `(height, width, channels)` or `(batch, height, width, channels)`."""
    refuse_path(image, "keras_unet.predict_file reads a file, keras_unet.image_io.read_image its pixels")
    pixels = np.asarray(image)
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"Expected an image of real numbers. Received dtype {pixels.dtype}.")
    if pixels.ndim not in (2, 3, 4):
        raise ValueError(
            "Expected an image (height, width), (height, width, channels) or (batch, height, width, channels). "
            f"Received shape {pixels.shape}."
        )
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)  # TIFF files come in both byte orders
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[-1] != channels:
        raise ValueError(f"Expected {channels} channels on the last axis. Received shape {np.shape(image)}.")
    if 0 in pixels.shape[-3:]:
        raise ValueError(f"Expected at least one pixel. Received shape {np.shape(image)}.")
    # The extremes show NaN and infinity without a mask as large as the image.
    if pixels.dtype.kind == "f" and pixels.size:
        with np.errstate(over="ignore"):
            extremes = np.array([pixels.min(), pixels.max()], np.float32)
        if not np.isfinite(extremes).all():
            raise ValueError("Expected finite pixel values that float32 holds. Received NaN, infinity or larger ones.")
    return pixels
