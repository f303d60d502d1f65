"""Variation of gray values, noise and blur."""

import math

import numpy as np
import tensorflow as tf

_GAMMA_RANGE = 3.0  # standard deviations
_BYTES_MEAN = 4 * 255 / 2
_BYTES_DEVIATION = math.sqrt(4 * (256**2 - 1) / 12)


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
