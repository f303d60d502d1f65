"""Images and labels in plain folders, in stacks, or one folder per image with a mask file per object."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.datasets.file_pairing import IMAGE_WORDS, LABEL_WORDS, pair, words
from keras_unet.datasets.label_interpretation import LabelKind, Meaning, understand
from keras_unet.datasets.label_values import NamedLabels
from keras_unet.datasets.lazy_samples import LabelFiles, collected, data_set, pixel_type_notes
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import (
    IMAGE_SUFFIXES,
    list_images,
    natural_order,
    read_image,
    read_labels,
    read_stack,
)

Pairs = list[tuple[Path, Path]]

_EXPECTED = (
    "expected images and labels: folders images/ and labels/, an image file beside a label file (x.tif and "
    "x_labels.tif), or one folder per image with images/ and masks/"
)
_HELD_OUT = frozenset({"test", "val", "valid", "validation"})
_TRAINING_FOLDERS = ("train", "training", "stage1_train")


def read_folder(
    path: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    label_kind: LabelKind | None = None,
    num_classes: int | None = None,
    ignore_label: int | None = None,
    class_names: Sequence[str] | None = None,
    in_memory: bool = True,
) -> LabelledImages:
    """Read labelled images from a folder.

    The folder holds sub-folders such as `images/` and `labels/` with files of like names; or image and label files
    side by side, single or multi-page (`train-volume.tif`, `train-labels.tif`); or a folder per image with `images/`
    and `masks/`, one mask file per object. A sub-folder `train/` is looked into.

    Args:
        path: the folder.
        images: images within `path`: a sub-folder, a file, or a pattern such as `*_raw.tif`.
        labels: the same for labels.
        label_kind: `"binary"` (0 is background, the rest foreground), `"classes"` or `"instances"`; told from the
            values of all files if left out.
        num_classes: number of classes, background included.
        ignore_label: label value of pixels without meaning.
        class_names: one name per class, background first.
        in_memory: whether to keep images and labels. If not, every file is read once now, to be checked, and again
            whenever its sample is asked for; the file read last is kept, of a stack with all its pages.

    Returns:
        The labelled images. Their `notes` say how files and values were understood.

    Raises:
        ValueError: nothing fitting is found, an image without label or the reverse, damaged files, sizes that
            differ, or labels whose meaning cannot be told.
        FileNotFoundError: a folder is missing.
    """
    root = Path(path)
    if not root.is_dir():
        received = "a file" if root.exists() else "no such folder"
        raise FileNotFoundError(f"{root}: {_EXPECTED}. Received {received}.")
    if images is None and labels is None:
        per_image = folders_per_image(root)
        if per_image:
            return read_object_masks(per_image, in_memory)
    pairs = _find_pairs(root, images, labels)
    return read_pairs(pairs, label_kind, num_classes, ignore_label, class_names, in_memory)


def read_pairs(
    pairs: Pairs,
    label_kind: LabelKind | None = None,
    num_classes: int | None = None,
    ignore_label: int | None = None,
    class_names: Sequence[str] | None = None,
    in_memory: bool = True,
) -> LabelledImages:
    """Read image files with their label files, single or multi-page.

    Args:
        pairs: image file and label file, one pair or more.
        label_kind: as for `read_folder`, like the rest.
        num_classes: number of classes, background included.
        ignore_label: label value of pixels without meaning.
        class_names: one name per class, background first.
        in_memory: whether to keep images and labels.

    Returns:
        One sample per page, in order.

    Raises:
        ValueError: as for `read_folder`.
    """
    files: Sequence[NamedLabels] = LabelFiles([label for _, label in pairs])
    files = list(files) if in_memory else files
    meaning = understand(files, label_kind, num_classes, ignore_label, class_names)
    sources = [partial(_pages, image, files, number, meaning) for number, (image, _) in enumerate(pairs)]
    samples, outlines = collected(sources, in_memory)
    found = f"{len(samples)} labelled images in {len(pairs)} files: {pairs[0][0].name} with {pairs[0][1].name}"
    notes = (f"{found} and so on." if len(pairs) > 1 else f"{found}.", meaning.note, *pixel_type_notes(outlines))
    return data_set(samples, meaning.kind, meaning.num_classes, meaning.class_names, meaning.ignore_label, notes)


def _pages(image: Path, files: Sequence[NamedLabels], number: int, meaning: Meaning) -> list[Sample]:
    """The samples of an image file, whose labels are in the file of that number."""
    stack, (label, raw) = read_stack(image), files[number]
    if len(stack) != len(raw):
        raise ValueError(
            f"{label}: expected {len(stack)} label images, as {image.name} has that many pages. Received {len(raw)}."
        )
    names = [str(image)] if len(stack) == 1 else [f"{image}, page {i}" for i in range(len(stack))]
    return [Sample(*parts) for parts in zip(names, stack, map(meaning.convert, raw), strict=True)]


def _find_pairs(root: Path, images: str | os.PathLike[str] | None, labels: str | os.PathLike[str] | None) -> Pairs:
    if (images is None) != (labels is None):
        raise ValueError(f"{root}: expected both options, images and labels, or neither. Received one.")
    if images is not None and labels is not None:
        return pair(_chosen(root, images), _chosen(root, labels))
    for folder in (root, *(root / name for name in _TRAINING_FOLDERS)):
        found = (_sub_folders(folder) or _side_by_side(folder)) if folder.is_dir() else None
        if found:
            return pair(*found)
    raise ValueError(f"{root}: {_EXPECTED}. Received {contents(root)}.")


def _chosen(root: Path, choice: str | os.PathLike[str]) -> list[Path]:
    """Files of a sub-folder, a single file, or the files that fit a pattern."""
    target = root / choice
    if target.is_dir():
        found = list_images(target)
    elif target.is_file():
        found = [target]
    else:
        found = [] if Path(choice).is_absolute() else [p for p in root.glob(os.fspath(choice)) if _is_image(p)]
    if not found:
        raise ImageError(f"{target}: expected a folder, file or pattern with images. Received {contents(target)}.")
    return sorted(found, key=natural_order)


def _sub_folders(root: Path) -> tuple[list[Path], list[Path]] | None:
    folders = sorted((p for p in root.iterdir() if p.is_dir() and p.name[0] != "."), key=natural_order)
    images = _only(root, folders, IMAGE_WORDS - LABEL_WORDS, "images")
    labels = _only(root, folders, LABEL_WORDS, "labels")
    if images is None or labels is None:
        return None
    for folder in (images, labels):
        if not list_images(folder):
            raise ImageError(f"{folder}: expected image files ({', '.join(IMAGE_SUFFIXES)}). Received none.")
    return list_images(images), list_images(labels)


def _only(root: Path, folders: list[Path], names: frozenset[str], option: str) -> Path | None:
    """Pick the one folder that a word of its name marks; several are for the user to choose from.

    `images` beside `new-images` is chosen, as the name says no more; `labels` beside `mask` is not.
    """
    marked = [folder for folder in folders if names & set(words(folder.name))]
    marked = [folder for folder in marked if not _HELD_OUT & set(words(folder.name))] or marked
    exact = [folder for folder in marked if folder.name.lower() == option]
    if len(exact) == 1 and all(option in words(folder.name) for folder in marked):
        return exact[0]
    if len(marked) > 1:
        found = ", ".join(folder.name for folder in marked)
        raise ValueError(
            f"{root}: expected one folder of {option}. Received {found}: choose by the options images and labels "
            "(in a configuration data.options.images and data.options.labels)."
        )
    return marked[0] if marked else None


def _side_by_side(root: Path) -> tuple[list[Path], list[Path]] | None:
    """Image files whose name ends in a label word are labels; the rest, but for files held out, are images."""
    files = list_images(root)
    labels = [p for p in files if words(p.stem) and words(p.stem)[-1] in LABEL_WORDS]
    images = [p for p in files if p not in labels]
    if not any(_HELD_OUT & set(words(p.stem)) for p in labels):
        images = [p for p in images if not _HELD_OUT & set(words(p.stem))]
    return (images, labels) if images and labels else None


def folders_per_image(root: Path) -> list[Path]:
    """Folders with `images/` and `masks/` each, in `root` or its training folder; an empty list for another layout."""
    for folder in (root, *(root / name for name in _TRAINING_FOLDERS)):
        inner = [p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."] if folder.is_dir() else []
        if any((p / "images").is_dir() and (p / "masks").is_dir() for p in inner):
            return sorted(inner, key=natural_order)
    return []


def read_object_masks(folders: list[Path], in_memory: bool = True) -> LabelledImages:
    """Read folders with one image in `images/` and one mask file per object in `masks/` each.

    Args:
        folders: What `folders_per_image` returned.
        in_memory: As for `read_folder`.

    Returns:
        Instances, numbered from 1 in each image.

    Raises:
        ValueError: Not one image, no mask, a mask of another size, or damaged files.
    """
    samples, outlines = collected([partial(_read_one_folder, folder) for folder in folders], in_memory)
    objects = sum(noted.highest_label for noted in outlines)
    notes = (
        f"{len(samples)} labelled images, one folder each.",
        f"One mask file per object: read as instance ids, {objects} objects in all.",
        *pixel_type_notes(outlines),
    )
    return data_set(samples, "instances", 2, ("background", "object"), None, notes)


def _read_one_folder(folder: Path) -> list[Sample]:
    images, masks = list_images(folder / "images"), list_images(folder / "masks")
    if len(images) != 1:
        raise ImageError(f"{folder / 'images'}: expected one image. Received {len(images)}.")
    if not masks:
        raise ImageError(f"{folder / 'masks'}: image without label. Expected one mask file per object. Received none.")
    image = read_image(images[0])
    labels = np.zeros(image.shape[:2], np.int32)
    number = 0
    for mask in masks:
        number += _add_object(labels, mask, number + 1)
    return [Sample(str(images[0]), image, labels)]


def _add_object(labels: NDArray[np.int32], path: Path, number: int) -> bool:
    """Draw one mask's object; an empty mask adds none."""
    mask = read_labels(path)
    if mask.shape != labels.shape:
        raise ValueError(
            f"{path}: image and labels differ in size. Expected {labels.shape[0]} x {labels.shape[1]} pixels (height x "
            f"width). Received {mask.shape[0]} x {mask.shape[1]}."
        )
    inside = mask > (mask.max() // 2 if mask.max() > 1 else 0)
    labels[inside] = number
    return bool(inside.any())


def _is_image(path: Path) -> bool:
    return path.is_file() and path.name[0] != "." and path.suffix.lower() in IMAGE_SUFFIXES


def contents(path: Path) -> str:
    """What lies there, for messages: the first names in a folder."""
    if not path.exists():
        return "nothing of that name"
    names = sorted(p.name for p in path.iterdir() if p.name[0] != ".") if path.is_dir() else [path.name]
    return (", ".join(names[:5]) + (" …" if len(names) > 5 else "")) if names else "an empty folder"
