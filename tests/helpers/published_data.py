"""What tests of published data sets share: images of one size, and objects in them."""

import numpy as np

from helpers import image_files

SIZE = 40


def picture(channels=1):
    return image_files.picture(SIZE, SIZE, channels)


def squares(*corners, side=8, size=SIZE, dtype=np.uint16):
    """Objects 1, 2 … of `side` pixels with their upper left corners at (row, column)."""
    ids = np.zeros((size, size), dtype)
    for number, (row, column) in enumerate(corners, start=1):
        ids[row : row + side, column : column + side] = number
    return ids
