"""What tests of images and data sets share: small images, masks and objects, and files of them."""

import numpy as np
import tifffile
from PIL import Image

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)

SIZE = 40
"""Height and width of scenes and of the objects in them."""


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def picture(height=8, width=8, channels=1, seed=0):
    return noise(height, width, channels, seed=seed)


def scene(channels=1):
    return picture(SIZE, SIZE, channels)


def squares(*corners, side=8, size=SIZE, dtype=np.uint16):
    """Objects 1, 2 … of `side` pixels with their upper left corners at (row, column)."""
    ids = np.zeros((size, size), dtype)
    for number, (row, column) in enumerate(corners, start=1):
        ids[row : row + side, column : column + side] = number
    return ids


def mask(values=(0, 255), height=8, width=8, dtype=np.uint8):
    return np.resize(np.asarray(values, dtype), (height, width))


def first_pixels(count):
    """255 in the first `count` pixels of 8 x 8, row by row, else 0."""
    return np.where(np.arange(64).reshape(8, 8) < count, 255, 0).astype(np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    if path.suffix == ".tif":
        is_colour = pixels.ndim == 3 and pixels.shape[-1] == 3
        tifffile.imwrite(path, pixels, photometric="rgb" if is_colour else "minisblack", **options)
    else:
        Image.fromarray(pixels).save(path, **options)


def pairs_of_pictures(root, count=2, label=None):
    for i in range(count):
        save(root / "images" / f"a{i}.png", picture(seed=i))
        save(root / "labels" / f"a{i}.png", mask() if label is None else label)
    return root
