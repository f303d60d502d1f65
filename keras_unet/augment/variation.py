"""What is drawn at random for each tile, how strongly, and the variation of gray values.

Random numbers depend on nothing but a seed. They are drawn outside functions that XLA compiles: inside, the same
seed gives other numbers than elsewhere.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_unet.augment.sampling_field import KNOT_LIMIT

Seed = Any
"""A whole number, or a pair of them (int32 or int64) as `tf.random.stateless_*` takes it; tensors or Python's."""


@dataclass(frozen=True)
class AugmentationSettings:
    """How strongly tiles are varied. Everything random is drawn anew for each tile.

    Args:
        elastic_sigma: Standard deviation of the control vectors of the elastic deformation, in pixels. The paper: 10.
        elastic_points: Control points per side of the tile. The paper: 3.
        rotation_degrees: Largest rotation either way; 180 turns freely.
        shift: Largest shift either way along each axis, in pixels.
        flip_horizontal: Probability of mirroring left and right.
        flip_vertical: Probability of mirroring up and down.
        scale: Smallest and largest magnification, drawn evenly in the logarithm.
        brightness: Largest offset either way, in standard deviations of the image.
        contrast: Largest relative change of the differences from the tile's mean.
        gamma: Largest relative change of the exponent; drawn evenly in the logarithm from 1 / (1 + gamma) up.
        blur: Largest standard deviation of a Gaussian blur, in pixels of the tile; drawn evenly from 0 up. With `scale`
            it makes images of a low resolution.
        noise: Largest standard deviation of Gaussian noise per pixel, as a fraction of that of the image.

    Raises:
        ValueError: If a setting is outside its range.
    """

    elastic_sigma: float = 10.0
    elastic_points: int = 3
    rotation_degrees: float = 180.0
    shift: float = 16.0
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    scale: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.2
    contrast: float = 0.2
    gamma: float = 0.2
    blur: float = 0.0
    noise: float = 0.1

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                nearest = low if not value > low else high
                raise ValueError(f"Expected {name} in {low:g} … {high:g}. Received {value}; nearest is {nearest:g}.")
        if self.elastic_points != int(self.elastic_points):
            raise ValueError(f"Expected a whole number of elastic_points. Received {self.elastic_points}.")
        if len(self.scale) != 2 or not 0.1 <= self.scale[0] <= self.scale[1] <= 10.0:
            raise ValueError(f"Expected scale as (smallest, largest) within 0.1 … 10. Received {self.scale}.")

    @classmethod
    def none(cls) -> "AugmentationSettings":
        """Return settings that change nothing: tiles are cut as they are."""
        off = dict.fromkeys(_RANGES, 0.0) | {"elastic_points": 3}
        return cls(**off)  # type: ignore[arg-type]

    @property
    def varies_gray(self) -> bool:
        """Whether gray values change."""
        return any((self.brightness, self.contrast, self.gamma, self.noise))


_RANGES = {
    "elastic_sigma": (0.0, 1000.0),
    "elastic_points": (2, 64),
    "rotation_degrees": (0.0, 180.0),
    "shift": (0.0, 1e6),
    "flip_horizontal": (0.0, 1.0),
    "flip_vertical": (0.0, 1.0),
    "brightness": (0.0, 10.0),
    "contrast": (0.0, 1.0),
    "gamma": (0.0, 10.0),
    "blur": (0.0, 10.0),
    "noise": (0.0, 10.0),
}


_GAMMA_RANGE = 3.0  # standard deviations
_BYTES_MEAN = 4 * 255 / 2
_BYTES_DEVIATION = math.sqrt(4 * (256**2 - 1) / 12)


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


def blurred(image: tf.Tensor, sigma: tf.Tensor, largest: float) -> tf.Tensor:
    """Blur images by a Gaussian, cut off at three of the largest standard deviations; their borders are mirrored.

    Args:
        image: `(batch, height, width, channels)`.
        sigma: `(batch,)` standard deviations in pixels; 0 leaves an image as it is.
        largest: No `sigma` is above it.

    Returns:
        float32 of the same shape.
    """
    radius = math.ceil(3 * largest)
    taps = 2 * radius + 1
    offsets = tf.range(-radius, radius + 1, dtype=tf.float32)
    weights = tf.exp(-0.5 * tf.square(offsets / tf.maximum(sigma, 1e-3)[:, None]))
    weights /= tf.reduce_sum(weights, 1, keepdims=True)
    image = tf.cast(image, tf.float32)
    for axis in (1, 2):
        size = image.shape[axis]
        mirrored = tf.gather(image, np.pad(np.arange(size), radius, mode="reflect"), axis=axis)
        image = tf.add_n([_over_pixels(weights[:, tap], 3) * _part(mirrored, tap, size, axis) for tap in range(taps)])
    return image


def _part(image: tf.Tensor, first: int, size: int, axis: int) -> tf.Tensor:
    return tf.slice(image, np.where(np.arange(4) == axis, first, 0), np.where(np.arange(4) == axis, size, -1))


def vary_gray_values(image: tf.Tensor, gray: tf.Tensor, *, noise: tf.Tensor | None = None) -> tf.Tensor:
    """Change exponent, contrast and brightness of images, then add noise; labels and weights know nothing of it.

    The exponent acts between 3 standard deviations below and above the mean; lower values keep theirs.

    Args:
        image: `(height, width, channels)` or `(batch, height, width, channels)`; the last axis may be left out. Mean 0
            and standard deviation 1 (see `keras_unet.pixel_statistics`).
        gray: `(4,)` exponent, contrast factor, offset, noise strength (see `Draw`), or `(batch, 4)`.
        noise: Deviates of the image's shape (see `pixel_noise`), or None for no noise.

    Returns:
        float32 of the same shape.
    """
    low, high = -_GAMMA_RANGE, _GAMMA_RANGE
    gray = tf.convert_to_tensor(gray)
    relative = (tf.cast(image, tf.float32) - low) / (high - low)
    axes = list(range(gray.shape.rank - 1, relative.shape.rank))
    exponent, contrast, offset, strength = (_over_pixels(gray[..., index], len(axes)) for index in range(4))
    # As XLA vectorises exp and log, but not pow.
    raised = tf.exp(exponent * tf.math.log(tf.maximum(relative, 1e-30)))
    varied = low + (high - low) * tf.where(relative > 0.0, raised, relative)
    mean = tf.reduce_mean(varied, axes, keepdims=True)
    varied = mean + contrast * (varied - mean) + offset
    return varied if noise is None else varied + strength * noise


def pixel_noise(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Noise of mean 0 and deviation 1, near to normal: sums of the four bytes of a hash of pixel index and seed.

    Unlike `tf.random.stateless_normal`, which takes many times longer than the rest of the augmentation, it may be
    compiled with XLA and still gives the same noise. The hash is C. Wellons' "lowbias32" (hash-prospector).

    Args:
        shape: Sizes of an image, known.
        seed: `(2,)` or, for a batch of images, `(batch, 2)`.

    Returns:
        float32 of `shape`, or `(batch, *shape)`.
    """
    words = tf.bitcast(tf.cast(seed, tf.int32), tf.uint32)
    first, second = (_over_pixels(words[..., index], len(shape)) for index in (0, 1))
    index = tf.reshape(tf.range(math.prod(shape)), shape)
    bits = _hash(_hash(tf.cast(index, tf.uint32) + first) + second)
    total = tf.zeros_like(bits, tf.int32)
    for shift in (0, 8, 16, 24):
        byte = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32)), 255)
        total += tf.cast(byte, tf.int32)
    return (tf.cast(total, tf.float32) - _BYTES_MEAN) / _BYTES_DEVIATION


def _hash(bits: tf.Tensor) -> tf.Tensor:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32)))
        bits *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32)))


def _over_pixels(values: tf.Tensor, axes: int) -> tf.Tensor:
    """Values `()` or `(batch,)` with `axes` more axes, to be combined with the pixels of an image each."""
    return values[(..., *[None] * axes)]


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
