"""Cuts an image that is too large for one message into pieces whose answers join without a seam. Integers only.

An exported model gives a pixel the same probabilities in a piece as in the whole image if the piece holds all that the
pixel depends on, and starts at a multiple of the net's stride. So pieces overlap by a context that is dropped from the
answers. Where a piece ends with the image it needs none: there the model mirrors as it does with the whole image.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from keras_unet.models.geometry import Geometry

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Piece:
    """Part of an image: what is sent, what of it is kept, both in pixels of the image, and the latter in the answer."""

    sent: Window
    kept: Window
    answer: Window


def stride_and_context(description: Mapping[str, Any]) -> tuple[int, int]:
    """Stride, and the context of a piece in pixels: what a block of stride by stride pixels sees to each side of it.

    Args:
        description: What the exported model says of itself.
    """
    told = description["geometry"]
    geometry = Geometry(told["depth"], told["padding"], told["upsampling"])
    stride, offset = geometry.stride, geometry.margin if geometry.padding == "valid" else 0
    fields = [geometry.receptive_field(index) for index in range(stride)]
    before = offset - min(first for first, _ in fields)
    after = max(last for _, last in fields) - offset - (stride - 1)
    return stride, math.ceil(max(before, after) / stride) * stride


def fewest_pixels(height: int, width: int, stride: int, context: int) -> int:
    """Pixels of the smallest piece that an image can be cut into, context included."""
    smallest = stride + 2 * context
    return min(height, smallest) * min(width, smallest)


def plan(height: int, width: int, stride: int, context: int, max_pixels: int) -> list[Piece]:
    """Pieces of at most `max_pixels` pixels, context included, that cover an image; one if it is small enough.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        stride: Pieces start at multiples of it.
        context: In pixels, a multiple of the stride.
        max_pixels: At least `fewest_pixels`.
    """
    if height * width <= max_pixels:
        return [Piece(*[(slice(0, height), slice(0, width))] * 3)]
    side = math.isqrt(max_pixels)
    # A side that is short anyway leaves more for the other.
    tall = min(height, max(side, max_pixels // width))
    wide = min(width, max_pixels // tall)
    rows, columns = _spans(height, tall, stride, context), _spans(width, wide, stride, context)
    pairs = [tuple(zip(row, column, strict=True)) for row, column in product(rows, columns)]
    return [Piece(*windows) for windows in pairs]


def _spans(size: int, longest: int, stride: int, context: int) -> Iterator[tuple[slice, slice, slice]]:
    """Sent, kept and answered part of each piece along one axis of `size` pixels."""
    if longest >= size:
        yield (slice(0, size),) * 3
        return
    count = math.ceil(size / ((longest - 2 * context) // stride * stride))
    step = math.ceil(math.ceil(size / count) / stride) * stride
    for first in range(0, size, step):
        last, start = min(first + step, size), max(first - context, 0)
        yield slice(start, min(last + context, size)), slice(first, last), slice(first - start, last - start)
