"""Encoded images in the graph: PNG and JPEG files to pixels as training read them, and results to PNG files.

What a file claims to be is read from its header first, so that neither a picture of another kind nor one of a billion
pixels is ever decoded. Everything wrong answers INVALID_ARGUMENT.

What `image_io.read_image` reads of PNG and JPEG is the same image here, and what it refuses is refused, as far as odd
and damaged files have been tried. Refused here alone are CMYK and lossless JPEG, for want of an operation, and a PNG
with more than 1000 chunks before its pixels, for want of time. Taken here alone is a PNG whose pixels are complete
before a chunk of another kind and further pixel data.
"""

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import tensorflow as tf

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PALETTE = 3  # colour type of a PNG
_CHANNELS = (1, 0, 3, 3, 1, 0, 3)  # by colour type, without alpha
_HEADER = 26  # bytes of a PNG up to its colour type
_CHUNK = 12  # bytes of a chunk of a PNG besides its body: length, kind and check sum
_MOST_CHUNKS = 1000  # before the pixels; looking at each takes time


class Limits(NamedTuple):
    """What an encoded image may be.

    Args:
        channels: Channels of the net, 1 or 3. An alpha channel that is the same everywhere is dropped, as is a
            transparent colour.
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
    fits = is_palette | ((channels == limits.channels) & (bits <= limits.bits))
    received = ["a PNG of colour type ", _text(colour), " with ", _text(bits), " bits"]
    with _small_enough(height, width, limits), required(fits, _kind(limits), received):
        chunks = _chunks_before_pixels(encoded)
    with required(chunks.further_frames <= 0, "a single image", "an animation"):
        encoded = tf.identity(encoded)
    return tf.cond(
        is_palette,
        lambda: tf.cast(_palette(encoded, chunks.table, limits.channels), tf.uint16),
        # Each depth as it is: decoding 8 bits as 16 would stretch the values.
        lambda: tf.cond(
            bits == 16,
            lambda: _without_alpha(tf.io.decode_png(encoded, 0, tf.uint16), limits.channels),
            lambda: tf.cast(_eight_bits(encoded, bits, limits.channels), tf.uint16),
        ),
    )


class _Chunks(NamedTuple):
    table: tf.Tensor  # colours of a palette image, uint8, flat
    further_frames: tf.Tensor  # of an animation


def _chunks_before_pixels(encoded: tf.Tensor) -> _Chunks:
    size = tf.cast(tf.strings.length(encoded), tf.int64)

    def kind(at: tf.Tensor) -> tf.Tensor:
        return tf.strings.substr(encoded, at + 4, 4)

    def is_other(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.cond(at + _CHUNK <= size, lambda: kind(at) != "IDAT", lambda: False)

    def next_chunk(at: tf.Tensor, table: tf.Tensor, frames: tf.Tensor) -> tuple[tf.Tensor, ...]:
        length, entry = _number(encoded, at), tf.stack([at + 8, _number(encoded, at)])
        table = tf.where(kind(at) == "PLTE", entry, table)
        frames += tf.where(kind(at) == "acTL", _number(encoded, at + 8), 0) - tf.cast(kind(at) == "fcTL", tf.int64)
        return tf.where(length < 0, size, at + _CHUNK + length), table, frames

    start = (tf.constant(8, tf.int64), tf.zeros(2, tf.int64), tf.constant(0, tf.int64))
    at, table, frames = tf.while_loop(is_other, next_chunk, start, maximum_iterations=_MOST_CHUNKS)
    reached = (at + _CHUNK <= size) & ~is_other(at)
    with required(reached, f"a PNG with pixels after at most {_MOST_CHUNKS} other chunks", "one without"):
        colours = tf.strings.substr(encoded, *tf.unstack(table))
    return _Chunks(tf.io.decode_raw(colours, tf.uint8), frames)


def _number(encoded: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    four = tf.strings.substr(encoded, at, 4)
    return tf.cast(tf.io.decode_raw(four, tf.int32, little_endian=False)[0], tf.int64)


def _eight_bits(encoded: tf.Tensor, bits: tf.Tensor, channels: int) -> tf.Tensor:
    pixels = _without_alpha(tf.io.decode_png(encoded, 0), channels)
    # Grey of 2 or 4 bits is stretched to 8 by every reader, of 1 bit by this one alone.
    return tf.cond(bits == 1, lambda: pixels // 255, lambda: pixels)


def _without_alpha(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    alpha = pixels[..., channels:]
    constant = tf.reduce_all(alpha == alpha[:1, :1])
    with required(constant, "an image without alpha, or with one alpha everywhere", "an alpha that differs"):
        return tf.identity(pixels[..., :channels])


def _palette(encoded: tf.Tensor, table: tf.Tensor, channels: int) -> tf.Tensor:
    """Colours of a palette image: one channel if the whole table holds nothing but greys, used or not, else three."""
    colours = tf.reshape(table[: tf.size(table) // 3 * 3], (-1, 3))
    is_grey = tf.reduce_all(colours == colours[:, :1])
    kinds = ("a grey image", "a palette of colours") if channels == 1 else ("a RGB image", "a palette of greys")
    with required(is_grey == (channels == 1), *kinds):
        return tf.io.decode_png(encoded, 3)[..., :channels]


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
    return f"a {'grey' if limits.channels == 1 else 'RGB'} image of up to {limits.bits} bits"


def _text(number: tf.Tensor) -> tf.Tensor:
    return tf.strings.as_string(number)
