"""Image and label files read into arrays with channels last, and written back.

TIFF (stacks, 16-bit, float, LZW, deflate, PackBits, palette, planar, ImageJ composite, OME, SVS) is read by
tifffile with imagecodecs; PNG, JPEG, BMP, GIF and PNM by Pillow. The content of a file decides, not its suffix.
Pixels keep the dtype and the range they have in the file; only one-bit images become uint8 0 and 1.
"""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from keras_unet.image_io.decoding import ImageError, Pixels, decode
from keras_unet.utils.atomic_files import written_aside

FilePath = str | os.PathLike[str]

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageError",
    "check_finite",
    "list_images",
    "natural_order",
    "read_image",
    "read_label_stack",
    "read_labels",
    "read_stack",
    "write_image",
    "write_labels",
    "write_probabilities",
]

IMAGE_SUFFIXES = (
    *(".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".webp", ".svs"),
)
"""Endings, in lower case, by which `list_images` knows an image."""


def read_image(path: FilePath) -> Pixels:
    """One image from a file.

    Args:
        path: TIFF, PNG, JPEG, BMP, GIF or PNM file. Of a pyramid (SVS) the largest level is read.

    Returns:
        `(height, width, channels)` in the file's dtype and range. Palettes become their colours (one channel if
        all are grey, used or not); an alpha channel that is the same everywhere is dropped, as is a transparent colour.

    Raises:
        ImageError: the file is not an image, is damaged, holds a stack, or NaN or infinite pixels.
        FileNotFoundError: there is no such file.
    """
    stack = read_stack(path)
    if len(stack) != 1:
        raise ImageError(f"{path}: expected a single image. Received a stack of {len(stack)} pages.")
    return np.asarray(stack[0])


def read_stack(path: FilePath) -> Pixels:
    """All pages, slices or frames of a file; a single image is a stack of one.

    Args:
        path: as for `read_image`.

    Returns:
        `(pages, height, width, channels)` in the file's dtype and range.

    Raises:
        ImageError: the file is not an image, is damaged or cut short, its pages differ in size, or pixels are NaN
            or infinite.
        FileNotFoundError: there is no such file.
    """
    stack, has_alpha = decode(Path(path), palette_indices=False)
    if has_alpha and (stack[..., -1] == stack[..., -1].flat[0]).all():
        stack = stack[..., :-1]
    check_finite(stack, str(path))
    return stack


def read_labels(path: FilePath) -> Pixels:
    """One label image from a file.

    Args:
        path: as for `read_image`. Palettes give their indices, not their colours.

    Returns:
        `(height, width)` integers as the file has them.

    Raises:
        ImageError: as for `read_image`, and when the labels are floats or coloured.
        FileNotFoundError: there is no such file.
    """
    stack = read_label_stack(path)
    if len(stack) != 1:
        raise ImageError(
            f"{path}: expected a single label image. Received a stack of {len(stack)}: read it with read_label_stack."
        )
    return np.asarray(stack[0])


def read_label_stack(path: FilePath) -> Pixels:
    """All label images of a file.

    Args:
        path: as for `read_labels`.

    Returns:
        `(pages, height, width)` integers as the file has them.

    Raises:
        ImageError: as for `read_stack`, and when the labels are floats or coloured.
        FileNotFoundError: there is no such file.
    """
    stack, has_alpha = decode(Path(path), palette_indices=True)
    if has_alpha:
        stack = stack[..., :-1]
    if stack.dtype.kind not in "ui":
        raise ImageError(f"{path}: expected labels that are integers. Received {stack.dtype}: save them as integers.")
    if not (stack == stack[..., :1]).all():
        raise ImageError(
            f"{path}: expected labels in one channel. Received {stack.shape[-1]} channels that differ: save the "
            f"labels as class numbers or instance ids instead of colours."
        )
    return stack[..., 0]


def list_images(folder: FilePath) -> list[Path]:
    """Image files directly in a folder, hidden files left out, in natural order (`a2` before `a10`).

    Args:
        folder: an existing folder.

    Returns:
        Paths of the files whose ending is in `IMAGE_SUFFIXES`; may be empty.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        received = "a file" if folder.exists() else "no such folder"
        raise FileNotFoundError(f"{folder}: expected a folder of images. Received {received}.")
    found = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in found if path.name[0] != "." and path.is_file()), key=natural_order)


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sorting key by a path's name that reads digits as numbers."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def check_finite(pixels: Pixels, name: str) -> None:
    """Refuse pixels that would poison every sum they enter.

    Args:
        pixels: any shape and dtype.
        name: the file's name, for the message.

    Raises:
        ImageError: a pixel is NaN or infinite.
    """
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        count = int(np.count_nonzero(~np.isfinite(pixels)))
        raise ImageError(f"{name}: expected finite pixel values. Received {count} of NaN or infinity.")


def write_image(path: FilePath, image: Pixels) -> None:
    """Write a picture as PNG.

    Args:
        path: ends in `.png`; its folder is made if need be. Written aside and renamed.
        image: `(height, width)` or `(height, width, channels)` with 1, 3 or 4 channels, uint8.

    Raises:
        ValueError: another suffix, shape or dtype.
    """
    path, image = Path(path), np.asarray(image)
    _check_suffix(path, (".png",))
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"{path}: expected a uint8 picture of 1, 3 or 4 channels. Received {image.dtype} of shape {image.shape}."
        )
    _save_png(path, image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)


def write_labels(path: FilePath, labels: Pixels) -> None:
    """Write class numbers or instance ids in the smallest dtype that holds them.

    Args:
        path: ends in `.png` (up to 65535), `.tif` or `.tiff`. Written aside and renamed.
        labels: `(height, width)`, or `(pages, height, width)` for TIFF, integers.

    Raises:
        ValueError: another suffix, shape or dtype, or values that the format cannot hold.
    """
    path, labels = Path(path), np.asarray(labels)
    _check_suffix(path, (".png", ".tif", ".tiff"))
    is_png = path.suffix.lower() == ".png"
    if labels.dtype.kind not in "bui" or labels.ndim not in ((2,) if is_png else (2, 3)) or labels.size == 0:
        raise ValueError(f"{path}: expected integer labels. Received {labels.dtype} of shape {labels.shape}.")
    small = labels.astype(_label_dtype(labels, path))
    if not is_png:
        _save_tiff(path, small, compression="zlib", photometric="minisblack")
    elif small.dtype == np.int32:
        raise ValueError(f"{path}: expected labels 0 to 65535 for PNG. Received {labels.max()}: write .tif instead.")
    else:
        _save_png(path, small)


def write_probabilities(path: FilePath, probabilities: Pixels) -> None:
    """Write a float32 TIFF with one page per class, which ImageJ opens as a stack and `read_image` as channels.

    Args:
        path: ends in `.tif` or `.tiff`. Written aside and renamed.
        probabilities: `(height, width, classes)`.

    Raises:
        ValueError: another suffix or shape.
    """
    path, probabilities = Path(path), np.asarray(probabilities)
    _check_suffix(path, (".tif", ".tiff"))
    if probabilities.ndim != 3 or 0 in probabilities.shape:
        raise ValueError(f"{path}: expected probabilities (height, width, classes). Received {probabilities.shape}.")
    planes = np.moveaxis(probabilities.astype(np.float32), -1, 0)
    planes, axes = (planes[0], "YX") if len(planes) == 1 else (planes, "CYX")
    _save_tiff(path, planes, photometric="minisblack", metadata={"axes": axes})


def _label_dtype(labels: Pixels, path: Path) -> type[np.generic]:
    low, high = int(labels.min()), int(labels.max())
    for dtype in (np.uint8, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise ValueError(f"{path}: expected labels up to {np.iinfo(np.int32).max}. Received {low} to {high}.")


def _check_suffix(path: Path, legal: tuple[str, ...]) -> None:
    if path.suffix.lower() not in legal:
        raise ValueError(f"{path}: expected a file name that ends in {' or '.join(legal)}. Received {path.name!r}.")


def _save_png(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        Image.fromarray(pixels).save(aside, format="PNG")


def _save_tiff(path: Path, pixels: Pixels, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        tifffile.imwrite(aside, pixels, **options)
