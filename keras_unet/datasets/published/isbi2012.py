"""The ISBI 2012 challenge: membranes in electron micrographs of the fruit fly's nerve cord.

Arganda-Carreras et al. 2015, "Crowdsourcing the creation of image segmentation algorithms for connectomics".
"""

import os
from dataclasses import replace
from pathlib import Path

from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.file_pairing import pair
from keras_unet.datasets.folders import read_pairs
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import list_images

CLASS_NAMES = ("membrane", "cell")


def read_isbi2012(path: str | os.PathLike[str]) -> LabelledImages:
    """Read the labelled slices in their original order.

    Args:
        path: folder with `train-volume.tif` and `train-labels.tif`, or with `train/image/` and `train/label/`.

    Returns:
        Two classes: 0 membrane (black in the files) and 1 cell (white).

    Raises:
        ValueError: the files are missing or damaged, or labels hold other than two values.
        FileNotFoundError: there is no such folder.
    """
    root = Path(path)
    data = read_pairs(_pairs(root))
    if data.kind != "classes" or data.num_classes != 2:
        raise ValueError(f"{root}: expected labels of 0 (membrane) and 255 (cell). Received more values.")
    note = "ISBI 2012: label 0 is membrane (class 0), 255 is the inside of cells (class 1)."
    return replace(data, class_names=CLASS_NAMES, notes=(data.notes[0], note, *data.notes[2:]))


def _pairs(root: Path) -> list[tuple[Path, Path]]:
    volume, labels = root / "train-volume.tif", root / "train-labels.tif"
    folders = root / "train" / "image", root / "train" / "label"
    if root.is_dir() and all(folder.is_dir() for folder in folders):
        images, masks = (list_images(folder) for folder in folders)
        if images and masks:
            return pair(images, masks)
    missing = [file.name for file in (volume, labels) if not file.is_file()]
    if not missing:
        return [(volume, labels)]
    kind = ImageError if root.is_dir() else FileNotFoundError
    raise kind(
        f"{root}: expected train-volume.tif and train-labels.tif, or folders train/image and train/label with PNG "
        f"files. Received no {' and no '.join(missing)}."
    )
