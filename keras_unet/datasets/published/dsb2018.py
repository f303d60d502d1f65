"""The 2018 Data Science Bowl: nuclei in microscope images of many kinds, one mask file per nucleus.

Caicedo et al. 2019, "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl" (BBBC038).
"""

import os
from dataclasses import replace

from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.folders import folders_per_image, read_object_masks
from keras_unet.datasets.published.published_files import existing_folder, other_layout

_EXPECTED = "expected the Data Science Bowl's stage1_train: a folder per image with images/ and masks/"


def read_dsb2018(path: str | os.PathLike[str], *, in_memory: bool = True) -> LabelledImages:
    """Read the labelled images of the first stage.

    Args:
        path: `stage1_train`, or the folder it lies in.
        in_memory: As for `read_folder`.

    Returns:
        Instances. Images are RGB of several sizes: the files' alpha channel, the same everywhere, is dropped.

    Raises:
        ValueError: Another layout, an image without masks, sizes that differ, or damaged files.
        FileNotFoundError: There is no such folder.
    """
    root = existing_folder(path, _EXPECTED)
    folders = folders_per_image(root)
    if not folders:
        raise other_layout(root, _EXPECTED)
    data = read_object_masks(folders, in_memory)
    note = "Data Science Bowl 2018: a channel of constant opacity is dropped; images differ in size and kind."
    return replace(data, class_names=("background", "nucleus"), notes=(*data.notes[:2], note, *data.notes[2:]))
