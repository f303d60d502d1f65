"""Augmentation of Ronneberger et al. 2015, section 3.1: elastic deformation, rotation, shift and gray values.

All geometric parts are composed into one warp, so that every pixel is interpolated once, with one field for image,
label and weights (`sampling_field.py`). TensorFlow ops throughout: whole, in `Dataset.map`; or in two halves, the first
of which cuts and draws there, while the second warps a batch on an accelerator (`tile_warp.py`).
"""

import math
from typing import Any

import tensorflow as tf

from keras_unet.augment import sampling_field
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.random_draws import Draw, Seed, draw, draw_knots, seed_pair
from keras_unet.augment.tile_warp import Cut, TileWarp
from keras_unet.preprocessing.pixel_normalization import statistics_of


def elastic_deformation(
    image: tf.Tensor,
    label: tf.Tensor | None = None,
    weight: tf.Tensor | None = None,
    *,
    seed: Seed,
    sigma: float = 10.0,
    points: int = 3,
    jit_compile: bool = True,
) -> Any:
    """Deform whole images, with label and weights, by smooth random displacements.

    A grid of control vectors drawn from N(0, sigma), over the corners, edges and centre of the image, is interpolated
    to every pixel by clamped bicubic splines. Each image of a batch has its own field. Where the image is so small
    that the field could fold, the grid is larger than it (`sampling_field.control_span`).

    Args:
        image: `(height, width, channels)` or `(batch, height, width, channels)`, any numeric dtype; sizes known.
        label: The same without channels, whole numbers; read at the nearest pixel, never blended.
        weight: The same without channels; interpolated like the image.
        seed: Whole number or pair of them.
        sigma: Standard deviation of the displacement at the control points, in pixels.
        points: Control points per side.
        jit_compile: Compile with XLA: several times faster, after half a second for each new shape.

    Returns:
        The image as float32; with label or weights a tuple of what was given: image, label (dtype kept), weights.

    Raises:
        ValueError: If shapes do not fit together or the label is not of whole numbers.

    Reference: Ronneberger et al. 2015, section 3.1.
    """
    AugmentationSettings(elastic_sigma=sigma, elastic_points=points)
    image, label, weight = sampling_field.checked_arrays(image, label, weight)
    if not image.shape.is_fully_defined():
        raise ValueError(f"Expected an image of known height and width. Received shape {image.shape}.")
    single = image.shape.rank == 3
    if single:
        image, label, weight = (None if part is None else part[None] for part in (image, label, weight))
    knots = draw_knots([image.shape[0], points, points, 2], seed_pair(seed), sigma)
    warp = _deform_compiled if jit_compile else _deform
    sampled, label, weight = warp(image, label, weight, knots, tf.ones(image.shape[:1]), float(sigma))
    parts = (sampling_field.channels_last(sampled, 4), label, weight)
    given = [part[0] if single else part for part in parts if part is not None]
    return given[0] if len(given) == 1 else tuple(given)


class TileAugmenter:
    """Cuts a tile out of an image and varies it: one call for each example of a training set.

    Usable eagerly, in a `tf.function` and in `Dataset.map`. The image's surroundings are cut to a window of fixed
    size, which is then warped by a function compiled once, whatever sizes the images have.

    Args:
        settings: How strongly to vary; `AugmentationSettings.none()` cuts only.
        input_size: Height and width of the image tile.
        output_size: Height and width of the part in its centre for which label and weights are wanted, as a valid
            net does; the whole tile if None.
        normalize: Whether tiles are normalised by the mean and standard deviation of their whole image
            (`keras_unet.pixel_statistics`), as a net that normalises images is trained; otherwise they have raw pixels.
        largest_image: Height and width that no image exceeds. Spares work where tiles are about as large as images.
        jit_compile: Compile with XLA.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self,
        settings: AugmentationSettings,
        *,
        input_size: tuple[int, int],
        output_size: tuple[int, int] | None = None,
        normalize: bool = False,
        largest_image: tuple[int, int] | None = None,
        jit_compile: bool = True,
    ) -> None:
        self.settings = settings
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.largest_image = largest_image
        self.warp = TileWarp(
            settings,
            input_size=self.input_size,
            output_size=self.input_size if output_size is None else (int(output_size[0]), int(output_size[1])),
            normalize=normalize,
            jit_compile=jit_compile,
        )
        self.source_size = self._source_size()

    def __call__(
        self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, *, centre: tf.Tensor, seed: Seed
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Cut and vary one tile.

        Args:
            image: `(height, width, channels)` of any size and numeric dtype; the number of channels must be known.
            label: `(height, width)` whole numbers.
            weight: `(height, width)`.
            centre: `(2,)` row and column of the tile's centre in the image, in pixels; pixel (0, 0) has its centre
                there. A tile of n rows beginning at row r has its centre at r + (n - 1) / 2. Integers or floats;
                it may lie outside the image, which is mirrored.
            seed: Whole number or pair of them.

        Returns:
            Image float32 `(*input_size, channels)`, label `(*output_size)` in its own dtype, weights float32
            `(*output_size)`.

        Raises:
            ValueError: If shapes do not fit together or the label is not of whole numbers.
            tf.errors.InvalidArgumentError: If the image is larger than `largest_image`.
        """
        return self.apply(image, label, weight, centre=centre, drawn=draw(seed, self.settings))

    def apply(
        self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, *, centre: tf.Tensor, drawn: Draw
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As a call, with the random numbers given."""
        cut = self.cut(image, label, weight, centre=centre, drawn=drawn)
        tile, label, weight = self.warp(tf.nest.map_structure(lambda part: part[None], cut))
        return tile[0], label[0], weight[0]

    def cut(self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, *, centre: tf.Tensor, drawn: Draw) -> Cut:
        """The first half of a call: what `warp` makes tiles of, batch by batch and on any device."""
        arrays = sampling_field.checked_arrays(image, label, weight, ranks=(3,))
        statistics = statistics_of(arrays[0][None])[0]
        size = tf.shape(arrays[0])[:2]
        centre = tf.cast(centre, tf.float32) + drawn.shift
        origin = self._origin(centre, size)
        image, label, weight = (sampling_field.cut(array, origin, self.source_size) for array in arrays)
        return Cut(image, label, weight, centre, size, origin, drawn, statistics)

    def _reach(self) -> tuple[int, int]:
        """Rows and columns from the centre to the farthest pixel that any draw can read."""
        settings = self.settings
        limit = sampling_field.displacement_limit(self.input_size, settings.elastic_points, settings.elastic_sigma)
        height, width = (((size - 1) / 2 + limit) / settings.scale[0] for size in self.input_size)
        turn = math.radians(settings.rotation_degrees)
        return sampling_field.reach(height, width, turn), sampling_field.reach(width, height, turn)

    def _source_size(self) -> tuple[int, int]:
        # One pixel for the fraction of the centre, one for the right-hand neighbour, one for rounding.
        rows, columns = (2 * reach + 3 for reach in self._reach())
        if self.largest_image is None:
            return rows, columns
        return min(rows, self.largest_image[0]), min(columns, self.largest_image[1])

    def _origin(self, centre: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        if self.largest_image is not None:
            message = f"Expected images within largest_image={self.largest_image}"
            tf.debugging.assert_less_equal(size, tf.constant(self.largest_image), message)
        # Folding never moves two points apart, so all that a tile reads lies within reach of its folded centre.
        folded = tf.stack([sampling_field.mirror(centre[axis], size[axis]) for axis in (0, 1)])
        first = tf.cast(tf.floor(folded), tf.int32) - self._reach() - 1
        return tf.clip_by_value(first, 0, tf.maximum(size - self.source_size, 0))


def _deform(
    image: tf.Tensor,
    label: tf.Tensor | None,
    weight: tf.Tensor | None,
    knots: tf.Tensor,
    magnification: tf.Tensor,
    sigma: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Deform a batch by the given control vectors."""
    height, width = image.shape[1:3]
    size = tf.constant([[height, width]])
    centre = tf.constant([[(height - 1) / 2, (width - 1) / 2]])
    straight = tf.eye(2, batch_shape=[knots.shape[0]])
    positions = sampling_field.source_positions(
        knots, straight, magnification, centre, tile_size=(height, width), image_size=size, sigma=sigma
    )
    whole = (slice(0, height), slice(0, width))
    return sampling_field.sample(
        image, label, weight, positions, image_size=size, origin=tf.zeros([1, 2], tf.int32), window=whole
    )


_deform_compiled = tf.function(_deform, jit_compile=True)
