"""Kvasir-SEG: polyps in colonoscopy, with masks that went through JPEG.

Jha et al. 2020, "Kvasir-SEG: a segmented polyp dataset".
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.file_pairing import pair
from keras_unet.datasets.lazy_samples import collected, data_set, pixel_type_notes
from keras_unet.datasets.published.published_files import existing_folder, other_layout, read_sample
from keras_unet.image_io.image_files import list_images, read_labels

_EXPECTED = "expected Kvasir-SEG's folders images/ and masks/ with JPEG files of the same names"
_THRESHOLD = 128


def read_kvasir(path: str | os.PathLike[str], *, in_memory: bool = True) -> LabelledImages:
    """Read images with their masks.

    Args:
        path: Folder with `images/` and `masks/`.
        in_memory: As for `read_folder`.

    Returns:
        Two classes, background and polyp. Images differ in size.

    Raises:
        ValueError: Another layout, an image without mask or the reverse, sizes that differ, or damaged files.
        FileNotFoundError: There is no such folder.
    """
    root = existing_folder(path, _EXPECTED)
    folders = [root / name for name in ("images", "masks")]
    if not all(folder.is_dir() and list_images(folder) for folder in folders):
        raise other_layout(root, _EXPECTED)
    pairs = pair(*map(list_images, folders))
    samples, outlines = collected(
        [partial(read_sample, image, partial(_polyp, mask)) for image, mask in pairs], in_memory
    )
    notes = (
        f"Kvasir-SEG: {len(samples)} labelled images.",
        f"Masks went through JPEG: read as background below {_THRESHOLD} and polyp (class 1) from {_THRESHOLD}.",
        *pixel_type_notes(outlines),
    )
    return data_set(samples, "classes", 2, ("background", "polyp"), None, notes)


def _polyp(mask: Path) -> NDArray[np.bool_]:
    return np.asarray(read_labels(mask) >= _THRESHOLD)
