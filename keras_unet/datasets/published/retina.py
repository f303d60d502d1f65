"""Blood vessels of the retina: DRIVE, CHASE_DB1 and STARE, told apart by their files.

Staal et al. 2004, "Ridge-based vessel segmentation in color images of the retina" (DRIVE); Fraz et al. 2012, "An
ensemble classification-based approach applied to retinal blood vessel segmentation" (CHASE_DB1); Hoover et al. 2000,
"Locating blood vessels in retinal images by piecewise threshold probing of a matched filter response" (STARE).
"""

import os
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.annotator_consensus import consensus
from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.lazy_samples import collected, data_set
from keras_unet.datasets.published.published_files import existing_folder, other_layout, partner, read_mask, read_sample
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import list_images, natural_order

IGNORED = 255
_EXPECTED = (
    "expected DRIVE (training/ or test/ with images/, 1st_manual/ and mask/), CHASE_DB1 (Image_01L.jpg with "
    "Image_01L_1stHO.png) or STARE (stare-images/ with labels-ah/)"
)
_ORDINAL = {1: "1st", 2: "2nd"}


@dataclass(frozen=True)
class _Eyes:
    """Files of one set: its name, and of each eye the image, the vessels that were drawn once or more, and the field of
    view or None.
    """

    name: str
    files: list[tuple[Path, tuple[Path, ...], Path | None]]


def read_retina(
    path: str | os.PathLike[str], *, observer: int | Literal["agreed"] = 1, in_memory: bool = True
) -> LabelledImages:
    """Read fundus images with the vessels that one observer drew, or on which both agree.

    Args:
        path: Folder of the set as published. Of DRIVE, `training` is read unless `test` itself is named.
        observer: 1 or 2. The second drew DRIVE's test images, all of CHASE_DB1, and STARE's `labels-vk`. `"agreed"`:
            where the two differ, pixels are ignored.
        in_memory: As for `read_folder`.

    Returns:
        Two classes, background and vessel. Outside the field of view, where the set has masks of it (DRIVE), and where
        observers differ, labels are 255, the ignored one.

    Raises:
        ValueError: Another layout, an image without labels or field of view, no such observer, sizes that differ, or
            damaged files.
        FileNotFoundError: There is no such folder.
    """
    if observer != "agreed" and (observer not in _ORDINAL or isinstance(observer, bool)):
        raise ValueError(f'Expected observer 1 or 2, or "agreed". Received {observer!r}.')
    root = existing_folder(path, _EXPECTED)
    eyes = _agreed(root) if observer == "agreed" else _drawn_by(root, observer)
    sources = [partial(read_sample, image, partial(_vessels, drawn, field)) for image, drawn, field in eyes.files]
    samples, _ = collected(sources, in_memory)
    has_fields, agreed = eyes.files[0][2] is not None, observer == "agreed"
    who = "both observers" if observer == "agreed" else f"{_ORDINAL[observer]} observer"
    outside = (
        f"outside the field of view ignored ({IGNORED})" if has_fields else "no field-of-view masks: all pixels count"
    )
    differing = f" Where the observers differ pixels are ignored ({IGNORED})." if agreed else ""
    notes = (
        f"{eyes.name}: {len(samples)} labelled images, {who}.",
        f"Labels are background (0) and vessel (1); {outside}.{differing}",
    )
    ignored = IGNORED if has_fields or agreed else None
    return data_set(samples, "classes", 2, ("background", "vessel"), ignored, notes)


def _drawn_by(root: Path, observer: int) -> _Eyes:
    eyes = _drive(root, observer) or _chase(root, observer) or _stare(root, observer)
    if eyes is None:
        raise other_layout(root, _EXPECTED)
    return eyes


def _agreed(root: Path) -> _Eyes:
    """The eyes with what either observer drew of them."""
    first, second = _drawn_by(root, 1), _drawn_by(root, 2)
    pairs = zip(first.files, second.files, strict=True)
    return replace(first, files=[(image, one + two, field) for (image, one, field), (_, two, _) in pairs])


def _vessels(drawn: tuple[Path, ...], field: Path | None) -> NDArray[np.int32]:
    masks = [read_mask(one).astype(np.int32) for one in drawn]
    for one, mask in zip(drawn, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise ImageError(f"{one}: expected {masks[0].shape} as {drawn[0].name}. Received {mask.shape}.")
    labels = consensus(masks, IGNORED) if len(masks) > 1 else masks[0]
    if field is not None:
        inside = read_mask(field)
        if inside.shape != labels.shape:
            raise ImageError(
                f"{field}: expected a field of view of {labels.shape} as {drawn[0].name}. Received {inside.shape}."
            )
        labels[~inside] = IGNORED
    return labels


def _drive(root: Path, observer: int) -> _Eyes | None:
    folder = root / "training" if (root / "training").is_dir() else root
    if not ((folder / "images").is_dir() and (folder / "mask").is_dir()):
        return None
    drawn = folder / f"{_ORDINAL[observer]}_manual"
    if not drawn.is_dir():
        hint = ": the second observer drew the test images only" if observer == 2 else ""
        raise ImageError(f"{folder}: expected a folder {drawn.name}/. Received none{hint}.")
    files: list[tuple[Path, tuple[Path, ...], Path | None]] = []
    for image in list_images(folder / "images"):
        number = image.stem.partition("_")[0]
        vessels = partner(image, drawn / f"{number}_manual{observer}.gif")
        files.append((image, (vessels,), partner(image, folder / "mask" / f"{image.stem}_mask.gif")))
    return _Eyes(f"DRIVE, {folder.name}", files) if files else None


def _chase(root: Path, observer: int) -> _Eyes | None:
    images = sorted((p for p in root.iterdir() if re.fullmatch(r"Image_\d+[LR]\.jpg", p.name)), key=natural_order)
    drawn = [partner(image, root / f"{image.stem}_{_ORDINAL[observer]}HO.png") for image in images]
    return _Eyes("CHASE_DB1", [(i, (d,), None) for i, d in zip(images, drawn, strict=True)]) if images else None


def _stare(root: Path, observer: int) -> _Eyes | None:
    folder, who = root / "stare-images", {1: "ah", 2: "vk"}[observer]
    if not folder.is_dir():
        return None
    images = list_images(folder)
    if not images:
        hint = ": unpack the .gz files" if any(folder.glob("*.gz")) else ""
        raise ImageError(f"{folder}: expected im0001.ppm and further images. Received none{hint}.")
    drawn = [partner(image, root / f"labels-{who}" / f"{image.stem}.{who}.ppm") for image in images]
    return _Eyes("STARE", [(i, (d,), None) for i, d in zip(images, drawn, strict=True)])
