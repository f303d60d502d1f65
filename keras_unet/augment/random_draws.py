"""What is drawn at random for each tile.

Random numbers depend on nothing but a seed. They are drawn outside functions that XLA compiles: inside, the same
seed gives other numbers than elsewhere.
"""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.sampling_field import KNOT_LIMIT

Seed = Any
"""A whole number, or a pair of them (int32 or int64) as `tf.random.stateless_*` takes it; tensors or Python's."""


class Draw(NamedTuple):
    """All random numbers of one tile, but for the noise, of which it holds strength and seed.

    Attributes:
        knots: `(points, points, 2)` control vectors (rows, columns) in pixels.
        matrix: `(2, 2)` turns and flips offsets in the tile into offsets in the image.
        magnification: `()` how much larger the image appears in the tile.
        shift: `(2,)` by how much further down and right the tile is read, in pixels.
        blur: `()` standard deviation in pixels.
        gray: `(4,)` exponent, contrast factor, offset and noise (both in standard deviations of the image).
        noise_seed: `(2,)`.
    """

    knots: tf.Tensor
    matrix: tf.Tensor
    magnification: tf.Tensor
    shift: tf.Tensor
    blur: tf.Tensor
    gray: tf.Tensor
    noise_seed: tf.Tensor


def draw(seed: Seed, settings: AugmentationSettings) -> Draw:
    """Draw what one tile needs; the same seed gives the same numbers anywhere but in XLA-compiled code."""
    seeds = tf.random.split(seed_pair(seed), 3)
    points = int(settings.elastic_points)
    uniform = tf.random.stateless_uniform([11], seeds[1])
    either_way = 2.0 * uniform - 1.0
    return Draw(
        knots=draw_knots([points, points, 2], seeds[0], settings.elastic_sigma),
        matrix=_matrix(
            either_way[0] * math.radians(settings.rotation_degrees),
            tf.stack([uniform[2] < settings.flip_vertical, uniform[3] < settings.flip_horizontal]),
        ),
        magnification=_between(uniform[1], *settings.scale),
        shift=either_way[4:6] * settings.shift,
        blur=uniform[10] * settings.blur,
        gray=_gray(uniform[6:10], settings),
        noise_seed=seeds[2],
    )


def seed_pair(seed: Seed) -> tf.Tensor:
    """Make a pair of whole numbers of a seed."""
    seed = tf.convert_to_tensor(seed)
    return tf.stack([seed, tf.zeros_like(seed)]) if seed.shape.rank == 0 else seed


def draw_knots(shape: list[int], seed: tf.Tensor, sigma: float) -> tf.Tensor:
    """Draw control vectors from N(0, sigma), clipped so that the warp's reach is known beforehand."""
    return sigma * tf.clip_by_value(tf.random.stateless_normal(shape, seed), -KNOT_LIMIT, KNOT_LIMIT)


def _matrix(angle: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Flip the tile's axes, then turn counter-clockwise."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    turn = tf.stack([tf.stack([cosine, sine]), tf.stack([-sine, cosine])])
    return turn * tf.where(flips, -1.0, 1.0)


def _between(uniform: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return tf.exp(math.log(low) + uniform * (math.log(high) - math.log(low)))


def _gray(uniform: tf.Tensor, settings: AugmentationSettings) -> tf.Tensor:
    return tf.stack(
        [
            _between(uniform[0], 1.0 / (1.0 + settings.gamma), 1.0 + settings.gamma),
            1.0 + (2.0 * uniform[1] - 1.0) * settings.contrast,
            (2.0 * uniform[2] - 1.0) * settings.brightness,
            uniform[3] * settings.noise,
        ]
    )
