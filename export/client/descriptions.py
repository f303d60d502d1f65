"""What a served model says of itself, checked where it is read: all that the client does rests on it."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from keras_unet.models.geometry import PADDINGS, UPSAMPLINGS, Geometry

from .errors import ServerError
from .json_text import parsed, shown

_DTYPES = ("float32", "uint8", "uint16", "int16")  # of the raw pixels of an exported model
_MOST_CLASSES = 255  # of an exported model


def read_description(answer: NDArray[Any]) -> dict[str, Any]:
    """The description that a server answered.

    Args:
        answer: The output `description` of the signature of that name: one JSON text.

    Raises:
        ServerError: If it is no description of format 1, or one whose values no exported model has.
    """
    try:
        description = parsed(answer.ravel()[0])
    except (ValueError, TypeError, IndexError):
        description = None
    if not isinstance(description, dict) or description.get("format") != 1:
        raise ServerError(f"Expected a description of format 1. Received {shown(description)}.")
    for name, value, legal, expected in _entries(description):
        if not legal:
            raise ServerError(f"Expected {expected} for {name} in the model's description. Received {shown(value)}.")
    return description


def _entries(description: Mapping[str, Any]) -> Iterable[tuple[str, Any, bool, str]]:
    """Name, value, whether it is legal, and what would be, of each entry; later ones take earlier ones to be legal."""
    told: Any = description.get("input")
    yield "input", told, isinstance(told, dict), "an object"
    dtype, channels, value_range = (told.get(name) for name in ("dtype", "channels", "value_range"))
    yield "input.dtype", dtype, dtype in _DTYPES, f"one of {', '.join(_DTYPES)}"
    yield "input.channels", channels, _is_count(channels), "a whole number from 1"
    yield "input.value_range", value_range, value_range is None or _is_range(value_range), "two finite numbers"
    by_image = description.get("normalizes_images", False)  # which the first exports do not tell
    yield "normalizes_images", by_image, isinstance(by_image, bool), "true or false"
    classes: Any = description.get("num_classes")
    legal_classes = f"a whole number from 1 to {_MOST_CLASSES}"
    yield "num_classes", classes, _is_count(classes) and classes <= _MOST_CLASSES, legal_classes
    most = description.get("max_pixels")
    yield "max_pixels", most, _is_count(most), "a whole number from 1"
    geometry: Any = description.get("geometry")
    yield "geometry", geometry, isinstance(geometry, dict), "an object"
    depth, padding, upsampling = (geometry.get(name) for name in ("depth", "padding", "upsampling"))
    yield "geometry.depth", depth, _is_depth(depth), "the depth of a U-Net"
    yield "geometry.padding", padding, padding in PADDINGS, f"one of {', '.join(PADDINGS)}"
    yield "geometry.upsampling", upsampling, upsampling in UPSAMPLINGS, f"one of {', '.join(UPSAMPLINGS)}"
    metadata = description.get("metadata")
    yield "metadata", metadata, isinstance(metadata, dict), "an object"


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1  # True is an int too


def _is_range(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(type(bound) in (int, float) for bound in value):
        return False
    try:
        return all(map(math.isfinite, value))
    except OverflowError:  # a whole number that float64 does not hold
        return False


def _is_depth(value: Any) -> bool:
    try:
        return _is_count(value) and Geometry(value).depth == value
    except ValueError:
        return False
