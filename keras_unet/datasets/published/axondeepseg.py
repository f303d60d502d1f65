"""AxonDeepSeg's scanning electron micrographs of rat spinal cord: axons and their myelin, in BIDS layout.

Zaimi et al. 2018, "AxonDeepSeg: automatic axon and myelin segmentation from microscopy data using convolutional
neural networks"; data set doi:10.5281/zenodo.5498378.
"""

import os
from functools import partial
from pathlib import Path

from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.lazy_samples import collected, data_set, pixel_type_notes
from keras_unet.datasets.published.published_files import (
    existing_folder,
    other_layout,
    partner,
    read_codes,
    read_sample,
)
from keras_unet.image_io.image_files import IMAGE_SUFFIXES, natural_order

CLASS_NAMES = ("background", "myelin", "axon")
_CODES = (0, 127, 255)
_EXPECTED = (
    "expected BIDS folders sub-…/micr/ with images and derivatives/labels/sub-…/micr/ with …_seg-axonmyelin-manual.png"
)


def read_axondeepseg(path: str | os.PathLike[str], *, in_memory: bool = True) -> LabelledImages:
    """Read the images of all subjects with their labels of both axon and myelin.

    Args:
        path: Folder with `dataset_description.json`, `sub-…/` and `derivatives/labels/`.
        in_memory: As for `read_folder`.

    Returns:
        Three classes: background, myelin, axon. Images differ in size, and subjects in the size of a pixel, which
        stands in the files' JSON; nothing is resampled.

    Raises:
        ValueError: Another layout, an image without label, other label values, sizes that differ, or damaged files.
        FileNotFoundError: There is no such folder.
    """
    root = existing_folder(path, _EXPECTED)
    images = [p for p in root.glob("sub-*/micr/*") if p.suffix.lower() in IMAGE_SUFFIXES]
    if not images or not (root / "derivatives" / "labels").is_dir():
        raise other_layout(root, _EXPECTED)
    images.sort(key=lambda image: (image.parts[-3], natural_order(image)))
    pairs = [(image, partner(image, _label(root, image))) for image in images]
    sources = [partial(read_sample, image, partial(read_codes, label, _CODES)) for image, label in pairs]
    samples, outlines = collected(sources, in_memory)
    notes = (
        f"AxonDeepSeg: {len(samples)} labelled images of {len({image.parts[-3] for image in images})} subjects.",
        "Labels 0, 127, 255 are read as background (0), myelin (1) and axon (2); images are not resampled.",
        *pixel_type_notes(outlines),
    )
    return data_set(samples, "classes", len(CLASS_NAMES), CLASS_NAMES, None, notes)


def _label(root: Path, image: Path) -> Path:
    folder = root / "derivatives" / "labels" / image.relative_to(root).parent
    return folder / f"{image.stem}_seg-axonmyelin-manual.png"
