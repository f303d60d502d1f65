"""Images that need not fit in memory, opened to be read part by part: TIFF, whole-slide pyramids and Zarr.

PNG, JPEG and the other formats of `keras_unet.image_io` cannot be read in part and are read whole.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from keras_unet.image_io.image_files import read_image
from keras_unet.image_io.tiff_windows import is_tiff, open_tiff
from keras_unet.image_io.windows import Windows, check_level
from keras_unet.image_io.zarr_store import open_zarr


@contextlib.contextmanager
def open_windows(path: str | os.PathLike[str], level: int = 0) -> Iterator[Windows]:
    """Open an image for reading parts of it.

    Args:
        path: TIFF (strips or tiles, any compression of imagecodecs, BigTIFF, OME, ImageJ, SVS), a Zarr array
            `(height, width)` or `(height, width, channels)`, an OME-Zarr group, or what `image_io.read_image` reads.
        level: Level of a pyramid; 0 is the largest.

    Raises:
        ImageError: The file is no image, is damaged, holds a stack, or has no such level.
        FileNotFoundError: There is no such file.
        ValueError: It is a Zarr store, and the package zarr is not installed.
    """
    path = Path(path)
    if path.is_dir():
        yield open_zarr(path, level)
        return
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an image file or a Zarr store. Received nothing of that name.")
    if not is_tiff(path):
        yield _whole(path, level)
        return
    with open_tiff(path, level) as windows:
        yield windows


def _whole(path: Path, level: int) -> Windows:
    check_level(path, level, 1)
    image = read_image(path)
    return Windows(path, image.shape, image.dtype, lambda rows, columns: image[rows, columns])
