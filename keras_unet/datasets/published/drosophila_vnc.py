"""Electron micrographs of the ventral nerve cord of a third instar fruit fly larva, with nine classes.

Gerhard et al. 2013, "Segmented anisotropic ssTEM dataset of neural tissue", doi:10.6084/m9.figshare.856713.
"""

import os
from functools import partial

from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.file_pairing import pair
from keras_unet.datasets.lazy_samples import collected, data_set
from keras_unet.datasets.published.published_files import existing_folder, other_layout, read_codes, read_sample
from keras_unet.image_io.image_files import list_images

CLASS_NAMES = (
    "membrane at 0 degrees",
    "membrane at 45 degrees",
    "membrane at 90 degrees",
    "membrane at 135 degrees",
    "membrane junction",
    "glia or extracellular",
    "mitochondrion",
    "synapse",
    "intracellular",
)
_CODES = (0, 32, 64, 96, 128, 159, 191, 223, 255)
_EXPECTED = "expected stack1 with raw/ (00.tif, 01.tif …) and labels/ (labels00000000.png …)"


def read_drosophila_vnc(path: str | os.PathLike[str], *, in_memory: bool = True) -> LabelledImages:
    """Read the sections of the labelled stack in their order.

    Args:
        path: `stack1`, or the folder it lies in.
        in_memory: As for `read_folder`.

    Returns:
        Nine classes. There is no background: class 0 is one of four directions of membrane.

    Raises:
        ValueError: Another layout, a section without labels, other label values, sizes that differ, or damaged files.
        FileNotFoundError: There is no such folder.
    """
    root = existing_folder(path, _EXPECTED)
    stack = root / "stack1" if (root / "stack1").is_dir() else root
    folders = [stack / name for name in ("raw", "labels")]
    if not all(folder.is_dir() and list_images(folder) for folder in folders):
        raise other_layout(stack, _EXPECTED)
    pairs = pair(*map(list_images, folders))
    sources = [partial(read_sample, image, partial(read_codes, label, _CODES)) for image, label in pairs]
    samples, _ = collected(sources, in_memory)
    notes = (
        f"Drosophila ventral nerve cord: {len(samples)} labelled sections.",
        "Label values 0, 32 … 255 are read as classes 0 to 8; class 0 is membrane, there is no background.",
    )
    return data_set(samples, "classes", len(CLASS_NAMES), CLASS_NAMES, None, notes)
