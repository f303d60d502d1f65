"""Encoded images in the graph: PNG and JPEG files to pixels as training read them, and results to PNG files.

What a file claims to be is read from its header first, so that neither a picture of another kind nor one of a billion
pixels is ever decoded. Everything wrong answers INVALID_ARGUMENT.
"""

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import tensorflow as tf

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PALETTE = 3  # colour type of a PNG
_CHANNELS = (1, 0, 3, 3, 1, 0, 3)  # by colour type, without alpha
_HEADER = 26  # bytes of a PNG up to its colour type


class Limits(NamedTuple):
    """What an encoded image may be.

    Args:
        channels: Channels of the net, 1 or 3. An alpha channel that is the same everywhere is dropped.
        bits: The most bits per channel: 8 for a net of 8-bit images, else 16.
        pixels: The most pixels.
    """

    channels: int
    bits: int
    pixels: int


def decode(encoded: tf.Tensor, limits: Limits) -> tf.Tensor:
    """One PNG or JPEG file as raw pixels `(height, width, channels)` float32, as `image_io.read_image` gives them.

    Args:
        encoded: Scalar string.
        limits: What is accepted.
    """
    is_png = tf.strings.substr(encoded, 0, 8) == _PNG
    is_jpeg = tf.strings.substr(encoded, 0, 3) == _JPEG
    with required(is_png | is_jpeg, "an encoded PNG or JPEG image", "other bytes"):
        encoded = tf.identity(encoded)
    pixels = tf.cond(is_png, lambda: _decode_png(encoded, limits), lambda: _decode_jpeg(encoded, limits))
    return tf.ensure_shape(tf.cast(pixels, tf.float32), (None, None, limits.channels))


def label_png(probabilities: tf.Tensor) -> tf.Tensor:
    """Most probable classes of `(height, width, num_classes)` as an 8-bit grey PNG; one class: 1 is p > 0.5."""
    if probabilities.shape[-1] == 1:
        classes = probabilities > 0.5
    else:
        classes = tf.argmax(probabilities, axis=-1, output_type=tf.int32)[..., None]
    return tf.io.encode_png(tf.cast(classes, tf.uint8))


def probability_png(probabilities: tf.Tensor) -> tf.Tensor:
    """Foreground of `(height, width, num_classes)` probabilities as a 16-bit grey PNG; 65535 is 1."""
    return tf.io.encode_png(tf.cast(tf.round(foreground(probabilities)[..., None] * 65535.0), tf.uint16))


def foreground(probabilities: tf.Tensor) -> tf.Tensor:
    """Probability of anything but background: `(…, height, width)` from `(…, height, width, num_classes)`."""
    if probabilities.shape[-1] == 1:
        return probabilities[..., 0]
    return tf.clip_by_value(1.0 - probabilities[..., 0], 0.0, 1.0)


def required(legal: tf.Tensor, expected: str, received: str | list[Any]) -> AbstractContextManager[Any]:
    """What is computed inside is computed only if `legal`."""
    parts = [received] if isinstance(received, str) else received
    sentence = tf.strings.join([f"Expected {expected}. Received ", *parts, "."])
    inside: AbstractContextManager[Any] = tf.control_dependencies([tf.debugging.Assert(legal, [sentence])])
    return inside


def _decode_png(encoded: tf.Tensor, limits: Limits) -> tf.Tensor:
    # Zeros stand for what a shorter file lacks: it has no size.
    start = tf.concat([tf.io.decode_raw(tf.strings.substr(encoded, 0, _HEADER), tf.uint8), [0] * _HEADER], axis=0)
    header = tf.cast(start[:_HEADER], tf.int64)
    width, height = (tf.reduce_sum(header[at : at + 4] * [1 << 24, 1 << 16, 1 << 8, 1]) for at in (16, 20))
    bits, colour = header[24], header[25]
    channels = tf.gather(_CHANNELS, tf.minimum(colour, len(_CHANNELS) - 1))
    is_palette = colour == _PALETTE
    fits = is_palette | ((channels == limits.channels) & (bits >= 8) & (bits <= limits.bits))
    received = ["a PNG of colour type ", _text(colour), " with ", _text(bits), " bits"]
    with _small_enough(height, width, limits), required(fits, _kind(limits), received):
        encoded = tf.identity(encoded)
    return tf.cond(
        is_palette,
        lambda: tf.cast(_palette(encoded, limits.channels), tf.uint16),
        # Each depth as it is: decoding 8 bits as 16 would stretch the values.
        lambda: tf.cond(
            bits == 16,
            lambda: _without_alpha(tf.io.decode_png(encoded, 0, tf.uint16), limits.channels),
            lambda: tf.cast(_without_alpha(tf.io.decode_png(encoded, 0), limits.channels), tf.uint16),
        ),
    )


def _without_alpha(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    alpha = pixels[..., channels:]
    constant = tf.reduce_all(alpha == alpha[:1, :1])
    with required(constant, "an image without alpha, or with one alpha everywhere", "an alpha that differs"):
        return tf.identity(pixels[..., :channels])


def _palette(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Colours of a palette image; for one channel they must be greys."""
    colours = tf.io.decode_png(encoded, 3)
    if channels == 3:
        return colours
    with required(tf.reduce_all(colours == colours[..., :1]), "a grey image", "a palette of colours"):
        return tf.identity(colours[..., :1])


def _decode_jpeg(encoded: tf.Tensor, limits: Limits) -> tf.Tensor:
    height, width, channels = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64))
    fits, received = channels == limits.channels, ["a JPEG of ", _text(channels), " channels"]
    with _small_enough(height, width, limits), required(fits, _kind(limits), received):
        encoded = tf.identity(encoded)
    pixels = tf.io.decode_jpeg(encoded, limits.channels, dct_method="INTEGER_ACCURATE")
    return tf.cast(pixels, tf.uint16)


def _small_enough(height: tf.Tensor, width: tf.Tensor, limits: Limits) -> AbstractContextManager[Any]:
    # Sides first: their product might run over.
    fits = (height > 0) & (width > 0) & (height <= limits.pixels) & (width <= limits.pixels)
    return required(
        fits & (height * width <= limits.pixels),
        f"an image of 1 to {limits.pixels} pixels",
        [_text(height), " x ", _text(width)],
    )


def _kind(limits: Limits) -> str:
    return f"a {'grey' if limits.channels == 1 else 'RGB'} image of {'8' if limits.bits == 8 else '8 or 16'} bits"


def _text(number: tf.Tensor) -> tf.Tensor:
    return tf.strings.as_string(number)
