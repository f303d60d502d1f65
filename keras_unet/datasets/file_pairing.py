"""Which label file belongs to which image file."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

IMAGE_WORDS = frozenset(
    {
        "image",
        "images",
        "img",
        "imgs",
        "raw",
        "volume",
        "picture",
        "pictures",
        "photo",
        "photos",
        "input",
        "inputs",
        "x",
    }
)
LABEL_WORDS = frozenset(
    {"label", "labels", "mask", "masks", "gt", "groundtruth", "truth", "annotation", "annotations", "target", "targets"}
    | {"seg", "segmentation", "segmentations", "manual", "manual1", "y"}
)
_STRAY_WORDS = frozenset({"training", "man", "ah", "1stho", "2ndho", "binary", "instances", "ids"})

Key = tuple[str | int, ...]


def words(name: str) -> list[str]:
    """Parts of a file or folder name in lower case: `21_manual1` gives 21 and manual1."""
    return [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part]


def pair(images: Sequence[Path], labels: Sequence[Path], *, spare_images: bool = False) -> list[tuple[Path, Path]]:
    """Match image and label files one to one by name.

    Names are compared whole; else without words such as `_mask` or `_manual1`; else by the numbers in them.

    Args:
        images: at least one image file.
        labels: at least one label file.
        spare_images: Whether images without a label are left out.

    Returns:
        Pairs in the order of the images.

    Raises:
        ValueError: an image without label or the other way round, or two files of one name; the message names it.
    """
    if len(images) == len(labels) == 1:
        return [(images[0], labels[0])]
    best: tuple[int, Callable[[Path], Key]] = (0, _whole)
    for key in (_whole, _without_words, _numbers):
        image_keys, label_keys = [key(p) for p in images], [key(p) for p in labels]
        unique = len(set(image_keys)) == len(images) and len(set(label_keys)) == len(labels)
        shared = len(set(image_keys) & set(label_keys))
        if unique and shared == len(labels) and (spare_images or shared == len(images)):
            partner = dict(zip(label_keys, labels, strict=True))
            return [(image, partner[key(image)]) for image in images if key(image) in partner]
        if unique and shared > best[0]:
            best = shared, key
    raise ValueError(_unmatched(images, labels, best[1]))


def likeness(images: Sequence[Path], labels: Sequence[Path]) -> Callable[[Path], Key]:
    """What is compared of two names: of the three ways, that by which most labels have an image of like name."""

    def shared(key: Callable[[Path], Key]) -> int:
        return len({key(path) for path in images} & {key(path) for path in labels})

    return max((_whole, _without_words, _numbers), key=shared)


def _whole(path: Path) -> Key:
    return (path.stem.lower(),)


def _without_words(path: Path) -> Key:
    kept = [word for word in words(path.stem) if word not in IMAGE_WORDS | LABEL_WORDS | _STRAY_WORDS]
    return tuple(kept)


def _numbers(path: Path) -> Key:
    return tuple(int(number) for word in _without_words(path) for number in re.findall(r"\d+", str(word)))


def _unmatched(images: Sequence[Path], labels: Sequence[Path], key: Callable[[Path], Key]) -> str:
    label_keys, image_keys = {key(p) for p in labels}, {key(p) for p in images}
    lonely_images = [p for p in images if key(p) not in label_keys]
    lonely_labels = [p for p in labels if key(p) not in image_keys]
    if lonely_images:
        return (
            f"{lonely_images[0]}: image without label. Expected a file named like it in {labels[0].parent}. "
            f"Received none for {len(lonely_images)} of {len(images)} images."
        )
    if lonely_labels:
        return (
            f"{lonely_labels[0]}: label without image. Expected a file named like it in {images[0].parent}. "
            f"Received none for {len(lonely_labels)} of {len(labels)} labels."
        )
    return (
        f"{images[0].parent}: expected one label file for every image file. Received names that fit several: "
        f"{len(images)} images, {len(labels)} labels."
    )
