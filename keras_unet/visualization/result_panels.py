"""Pictures of images beside their truth and what a model makes of them, errors in colour."""

import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.instances.matching import match_instances
from keras_unet.metrics.evaluated_image import JudgedImage, Scope
from keras_unet.visualization import overlays

# Colours that differ for colour-blind eyes too.
FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_CLASS = (230, 120, 0), (40, 150, 255), (220, 60, 220)
IGNORED = (128, 128, 128)

_DARKENED = 0.6


def write_pictures(
    folder: Path, images: Sequence[JudgedImage], scope: Scope, pixels: Iterable[NDArray[Any]] | None = None
) -> list[Path]:
    """Write a picture of each image as PNG, named after its number and its name; older ones are replaced.

    Args:
        folder: Made if need be.
        images: Truths and results.
        scope: What they are judged by.
        pixels: Of each image `(height, width, channels)`; None where only results and truth are at hand.

    Returns:
        The files.
    """
    paths = []
    for number, (image, shown) in enumerate(zip(images, repeat(None) if pixels is None else pixels, strict=False)):
        path = folder / f"{number:03d}_{_file_name(image.name)}.png"
        image_io.write_image(path, result_picture(image, scope, shown))
        paths.append(path)
    return paths


def result_picture(image: JudgedImage, scope: Scope, pixels: NDArray[Any] | None = None) -> overlays.Picture:
    """Image, truth, result and what follows from it, side by side under captions.

    Of instances the truth and the objects found are tinted on the image, those that match (IoU > 0.5) in one colour.
    Of classes the last panel shows the errors: too much in orange, missed in blue, another class in pink. Pixels that
    do not count are grey in truth and errors. Without pixels there is no image, and black under all else.

    Args:
        image: Truth and result.
        scope: What they are judged by.
        pixels: `(height, width, channels)`, or None.
    """
    under = np.zeros((*image.truth.shape, 1), np.uint8) if pixels is None else pixels
    shown = {} if pixels is None else {"image": overlays.grey_or_colour(under)}
    by_object = scope.kind == "instances"
    true, found = object_pictures(under, image, scope) if by_object else (("truth", truth_picture(image)), None)
    shown |= dict([true])
    if image.cell is not None and scope.probabilities:
        shown[f"probability of {scope.class_names[1]}"] = overlays.heat(image.cell, 0.0, 1.0)
    elif not by_object:
        shown["prediction"] = overlays.coloured(image.found)
    shown |= dict([found or ("errors: too much orange, missed blue", error_picture(under, image))])
    return overlays.side_by_side(list(shown.values()), list(shown))


def object_pictures(
    pixels: NDArray[Any], image: JudgedImage, scope: Scope
) -> tuple[tuple[str, overlays.Picture], tuple[str, overlays.Picture]]:
    """Captions and pictures of the truth's objects and of those found, tinted on the image.

    Those that match (IoU > 0.5) have one colour; what does not count is grey.

    Args:
        pixels: `(height, width, channels)`.
        image: Of two classes, or with found objects.
        scope: What it is judged by.
    """
    found = image.objects_by(scope.instances)
    return (
        (f"truth: {_count(image.objects)} objects", _tinted(pixels, image.objects, image)),
        (f"found: {_count(found)} objects", _tinted(pixels, numbered_alike(image.objects, found), image)),
    )


def truth_picture(image: JudgedImage) -> NDArray[np.uint8]:
    """A colour for each class, grey where pixels do not count."""
    coloured = overlays.coloured(image.truth)
    coloured[~image.counted] = IGNORED
    return coloured


def error_picture(pixels: NDArray[Any], image: JudgedImage) -> NDArray[np.uint8]:
    """The image in dark grey, and on it in colour what the result has too much, too little, or in another class.

    Args:
        pixels: `(height, width, channels)`.
        image: What the model makes of them; class 0 is background, pixels that do not count are grey.

    Returns:
        `(height, width, 3)`, RGB.
    """
    grey = overlays.grey_or_colour(pixels).mean(axis=-1, keepdims=True) * _DARKENED
    drawn = np.broadcast_to(grey, (*grey.shape[:2], 3)).astype(np.uint8)
    true, found = image.truth > 0, image.found > 0
    drawn[found & ~true] = FALSE_POSITIVE
    drawn[true & ~found] = FALSE_NEGATIVE
    drawn[true & found & (image.truth != image.found)] = WRONG_CLASS
    drawn[~image.counted] = IGNORED
    return drawn


def numbered_alike(truth: NDArray[np.int32], found: NDArray[np.int32]) -> NDArray[np.int32]:
    """`found` with the numbers, so the colours, of the cells in the truth; what matches none gets numbers past them."""
    numbers = np.arange(found.max() + 1) + truth.max()
    numbers[0] = 0
    for one, other in match_instances(truth, found).items():
        numbers[other] = one
    return np.asarray(numbers[found], np.int32)


def _tinted(pixels: NDArray[Any], objects: NDArray[np.int32], image: JudgedImage) -> overlays.Picture:
    """Objects on the image; what does not count is grey."""
    drawn = overlays.overlay(pixels, objects)
    drawn[~image.counted] = IGNORED
    return drawn


def _file_name(name: str) -> str:
    """`train-volume_page_20` for `train/train-volume.tif, page 20`: no folders, endings, or signs that shells mind."""
    bare = re.sub(r"\.[A-Za-z]{3,4}(?=,|$)", "", name.rpartition("/")[2])
    return re.sub(r"[^A-Za-z0-9-]+", "_", bare)


def _count(objects: NDArray[np.int32]) -> int:
    return len(np.unique(objects[objects > 0]))
