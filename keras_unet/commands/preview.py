"""`keras-unet preview`: a contact sheet of the augmented tiles that a configuration trains on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.datasets import LabelledImages
from keras_unet.training import Config
from keras_unet.training.data_split import load_data, split
from keras_unet.training.training_run import build_datasets
from keras_unet.visualization import overlays

_FRAME = (255, 200, 0)
_OUTSIDE = 128


def preview(config: Config, out: Path, tiles: int = 4, data: LabelledImages | None = None) -> None:
    """Write a picture of the first tiles of a run: image, label and weight of each in a row.

    Args:
        config: What `load_config` returned.
        out: The picture, a PNG file.
        tiles: How many.
        data: Labelled images at hand, instead of those `config.data` names.

    Raises:
        ConfigError: If the configuration cannot be used.
        ValueError: If the data cannot be used, or `out` is no name of a picture.
        OSError: If files cannot be read or written.
    """
    parts = split(load_data(config.data) if data is None else data, config.data)
    for note in parts.notes:
        print(note)
    batches_from, _ = build_datasets(_finished_tiles(config), replace(parts, validate=None), config.model.geometry)
    shown = list(batches_from(0).unbatch().take(tiles).as_numpy_iterator())
    image_io.write_image(out, contact_sheet(shown, parts.train.ignore_label))
    print(f"The first {tiles} tiles of the run: {out}")


def _finished_tiles(config: Config) -> Config:
    """The configuration with an input pipeline that makes whole tiles, the same ones: no step is here to warp them."""
    return config.model_copy(update={"training": config.training.model_copy(update={"augment_on": "cpu"})})


def contact_sheet(
    tiles: list[tuple[NDArray[Any], NDArray[np.int32], NDArray[np.float32]]], ignore_label: int | None = None
) -> NDArray[np.uint8]:
    """Rows of image, label and weight, RGB.

    Args:
        tiles: `(height, width, channels)` raw pixels, `(output_height, output_width)` classes and weights each.
            Where the output is smaller than the image, as in valid nets, a frame in the image shows the output, and
            label and weight lie at its place.
        ignore_label: Shown in grey; None for none.
    """
    highest = max(float(weight.max()) for _, _, weight in tiles)
    captions = ("image", "label", f"weight, 0 to {highest:.3g}")
    rows = []
    for image, label, weight in tiles:
        classes = np.where(label == ignore_label, 0, label) if ignore_label is not None else label
        colours = overlays.coloured(classes)
        colours[label == ignore_label] = _OUTSIDE
        planes = [colours, overlays.heat(weight, 0.0, highest)]
        panels = [_framed(overlays.grey_or_colour(image), label.shape)]
        rows.append(overlays.side_by_side([*panels, *(_padded(p, image.shape) for p in planes)], captions))
    return np.concatenate(rows)


def _corner(image: tuple[int, ...], output: tuple[int, ...]) -> tuple[int, int]:
    return (image[0] - output[0]) // 2, (image[1] - output[1]) // 2


def _framed(picture: NDArray[np.uint8], output: tuple[int, ...]) -> NDArray[np.uint8]:
    top, left = _corner(picture.shape, output)
    if top or left:
        cv2.rectangle(picture, (left - 1, top - 1), (left + output[1], top + output[0]), _FRAME, 1)
    return picture


def _padded(picture: NDArray[np.uint8], image: tuple[int, ...]) -> NDArray[np.uint8]:
    """The picture in the middle of grey as large as the image."""
    canvas = np.full((*image[:2], 3), _OUTSIDE, np.uint8)
    top, left = _corner(image, picture.shape)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas
