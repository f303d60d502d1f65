"""`keras-unet evaluate RESULTS --truth LABELS`: results on disk laid beside their truth. Loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.file_pairing import Key, likeness, pair
from keras_unet.datasets.label_interpretation import LabelKind, Meaning, understand
from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.image_io.image_files import list_images, natural_order, read_label_stack, read_stack
from keras_unet.instances.components import connected_components
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.instances.label_checks import check_labels, check_probability
from keras_unet.metrics.evaluated_image import JudgedImage, Scope, judge

RESULT_KINDS = ("labels", "probabilities")

_OVERLAY = "_overlay"
# Endings of what `predict` and `segment` write, in the order in which they are taken.
_OF_CLASSES = ("_probabilities", "_foreground", "_labels")
_OF_INSTANCES = ("_instances", *_OF_CLASSES)


@dataclass(frozen=True)
class _File:
    """Pages of a file: labels `(pages, height, width)` or probabilities `(pages, height, width, channels)`."""

    path: Path
    pages: NDArray[Any]

    @property
    def has_probabilities(self) -> bool:
        return self.pages.ndim == 4


@dataclass(frozen=True)
class _Pair:
    name: str
    truth_name: str
    truth: NDArray[Any]
    result: NDArray[Any]


def compare(
    results: Path,
    truth: Path,
    settings: InstanceSettings,
    *,
    label_kind: LabelKind | None = None,
    ignore_label: int | None = None,
    result_kind: str | None = None,
) -> tuple[list[JudgedImage], Scope, list[str]]:
    """Lay result files beside the truth's files, which are matched by name; all are held in memory.

    Results without truth, of frames that nobody labelled, are left out; a truth without result is an error.

    Args:
        results: A folder of label or probability files, one file or stack, or a pattern such as `out/*_labels.png`.
            Of a folder that `predict` or `segment` wrote one kind of file is taken: for a truth of instances the
            instances if they are there, else probabilities, else labels.
        truth: A folder of label files, or one file or stack.
        settings: How objects are told apart where results do not tell.
        label_kind: What the truth's labels are; None to tell it from their values.
        ignore_label: Label of the truth's pixels to leave out, or None.
        result_kind: `"labels"` or `"probabilities"`, integers being scaled from their type's range; None takes
            floats for probabilities and integers for labels.

    Returns:
        The images, what they are judged by, and sentences that say how files were understood.

    Raises:
        FileNotFoundError: If a folder or file is missing.
        ValueError: If truth and results differ in number or size, labels are negative or floats, probabilities are
            outside [0, 1] or NaN, or a file cannot be read; the message names the file.
    """
    truths = [_File(path, read_label_stack(path)) for path in _files(truth)]
    meaning = understand([(str(file.path), file.pages) for file in truths], label_kind, None, ignore_label)
    read = [_read_result(path, result_kind) for path in _chosen(_files(results), meaning)]
    found, has_ids = _converted(read, meaning)
    scope = Scope(meaning.class_names, meaning.kind, found[0].has_probabilities, settings)
    pairs = list(_side_by_side(truths, found))
    images = [_judged(one, meaning, has_ids) for one in pairs]
    what = "object ids" if has_ids else "probabilities" if scope.probabilities else "classes"
    notes = [meaning.note, f"Results are read as {what}: {images[0].name} beside {pairs[0].truth_name} and so on."]
    if has_ids and settings != InstanceSettings():
        notes.append("Object ids are taken as they are: thresholds, smallest size and watershed change nothing.")
    spare = _count(found) - len(images)
    if spare:
        notes.append(f"{spare} of {_count(found)} results have no truth and are left out.")
    return images, scope, notes


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = list_images(path)
    elif path.exists():
        files = [path]
    else:
        # Of a folder that is there, brackets are part of its name.
        found = path.parent.glob(path.name) if path.parent.is_dir() else map(Path, glob(str(path), recursive=True))
        files = sorted(found, key=natural_order)
    if not files:
        missing = "where there are none" if path.exists() or set(str(path)) & set("*?[") else "which does not exist"
        raise FileNotFoundError(f"Expected image files. Received {str(path)!r}, {missing}.")
    return files


def _chosen(files: Sequence[Path], meaning: Meaning) -> Sequence[Path]:
    """All files, or one kind of those that `predict` and `segment` write beside overlays."""
    if not any(path.stem.endswith(_OVERLAY) for path in files):
        return files
    endings = _OF_INSTANCES if meaning.kind == "instances" else _OF_CLASSES
    told = [ending for ending in endings if ending != "_foreground" or meaning.num_classes == 2]
    kinds = ([path for path in files if path.stem.endswith(ending)] for ending in told)
    return next((kind for kind in kinds if kind), files)


def _read_result(path: Path, result_kind: str | None) -> _File:
    stack = read_stack(path)
    kind = result_kind or ("probabilities" if stack.dtype.kind == "f" else "labels")
    if kind == "labels":
        return _File(path, read_label_stack(path))
    if stack.dtype.kind in "ui":
        stack = stack / np.float32(np.iinfo(stack.dtype).max)
    try:
        return _File(path, np.asarray(check_probability(stack), np.float32))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _converted(files: Sequence[_File], meaning: Meaning) -> tuple[list[_File], bool]:
    """Results with the truth's classes or with object ids, and whether they are ids."""
    _check_alike(files, meaning.num_classes)
    if files[0].has_probabilities:
        return list(files), False
    if meaning.kind == "instances" and _are_ids([page for file in files for page in file.pages]):
        return [_File(file.path, _ids(file)) for file in files], True
    kind: LabelKind = "binary" if meaning.num_classes == 2 else "classes"
    named = [(str(file.path), file.pages) for file in files]
    convert = understand(named, kind, meaning.num_classes).convert
    return [_File(file.path, convert(file.pages)) for file in files], False


def _check_alike(files: Sequence[_File], num_classes: int) -> None:
    first = files[0]
    for file in files:
        if file.has_probabilities != first.has_probabilities:
            raise ValueError(
                f"{file.path}: expected labels or probabilities throughout. Received both: name one kind by a pattern."
            )
        channels = (1, 2) if num_classes == 2 else (num_classes,)
        if file.has_probabilities and file.pages.shape[-1] not in channels:
            raise ValueError(
                f"{file.path}: expected probabilities of {' or '.join(map(str, channels))} channels. "
                f"Received {file.pages.shape[-1]}."
            )


def _are_ids(pages: Sequence[NDArray[Any]]) -> bool:
    """Whether labels are ids: a page has several; or none has more than one, in one piece wherever it occurs."""
    if any(len(np.unique(page[page > 0])) > 1 for page in pages):
        return True
    return all(connected_components(page).max() <= 1 for page in pages)


def _ids(file: _File) -> NDArray[np.int32]:
    try:
        return np.stack([check_labels(page, "a result") for page in file.pages])
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from None


def _side_by_side(truths: Sequence[_File], results: Sequence[_File]) -> Iterator[_Pair]:
    """Each label image with its result; a stack may have a file for each page on the other side."""
    single, several = sorted((truths, results), key=len)
    stacked = len(single) == 1 < len(several)
    if stacked and _count(truths) == _count(results):
        yield from _checked(zip(_pages(truths), _pages(results), strict=True))
        return
    pages = len(single[0].pages)
    if stacked and pages > 1 and (single is results or all(len(file.pages) == 1 for file in several)):
        raise ValueError(_other_pages(single[0], several))
    for one, other in _matched(truths, results):
        if len(one.pages) != len(other.pages):
            raise ValueError(_other_pages(other, [one]))
        yield from _checked(zip(_pages([one]), _pages([other]), strict=True))


def _other_pages(stack: _File, others: Sequence[_File]) -> str:
    them = (
        f"{others[0].path.name} has" if len(others) == 1 else f"the {len(others)} files of {others[0].path.parent} have"
    )
    return f"{stack.path}: expected as many pages as {them}, {_count(others)}. Received {len(stack.pages)}."


def _count(files: Sequence[_File]) -> int:
    return sum(len(file.pages) for file in files)


def _pages(files: Sequence[_File]) -> Iterator[tuple[str, NDArray[Any]]]:
    for file in files:
        for number, page in enumerate(file.pages):
            yield str(file.path) if len(file.pages) == 1 else f"{file.path}, page {number}", page


def _checked(pairs: Iterator[tuple[tuple[str, NDArray[Any]], tuple[str, NDArray[Any]]]]) -> Iterator[_Pair]:
    for (name, truth), (result_name, result) in pairs:
        if truth.shape != result.shape[:2]:
            raise ValueError(
                f"{result_name}: expected the size of {name}, {truth.shape[0]} x {truth.shape[1]} pixels (height x "
                f"width). Received {result.shape[0]} x {result.shape[1]}."
            )
        yield _Pair(result_name, name, truth, result)


def _matched(truths: Sequence[_File], results: Sequence[_File]) -> list[tuple[_File, _File]]:
    by_name = {_bare(file.path): file for file in results}
    by_path = {file.path: file for file in truths}
    if len(by_name) == len(results) >= len(truths):
        try:
            pairs = pair(list(by_name), list(by_path), spare_images=True)
            return [(by_path[truth], by_name[result]) for result, truth in pairs]
        except ValueError:
            pass  # told below in words for results
    raise ValueError(_unmatched(list(by_path), [_bare(file.path) for file in results], results))


def _unmatched(truths: Sequence[Path], bare: Sequence[Path], results: Sequence[_File]) -> str:
    """Which truth has no result, or which two files one name."""
    alike = likeness(bare, truths)
    names = {alike(path) for path in bare}
    lonely = next((path for path in truths if alike(path) not in names), None)
    if lonely is not None:
        return (
            f"{lonely}: expected truth and results in pairs of like names. Received no partner for this one among "
            f"{len(truths)} truth files in {lonely.parent} and {len(results)} result files in {results[0].path.parent}."
        )
    named = [(alike(path), file.path) for path, file in zip(bare, results, strict=True)]
    first, second = next(chain(_twins(named), _twins([(alike(path), path) for path in truths])))
    return (
        f"{second}: expected one file of a name on each side. Received {first.name} too, which reads alike: name one "
        "kind of file by a pattern."
    )


def _twins(named: Sequence[tuple[Key, Path]]) -> Iterator[tuple[Path, Path]]:
    """Files of one name, in twos."""
    known: dict[Key, Path] = {}
    for name, path in named:
        if name in known:
            yield known[name], path
        known[name] = path


def _bare(path: Path) -> Path:
    """The path without what `predict` or `segment` adds to an image's name."""
    ending = next((ending for ending in _OF_INSTANCES if path.stem.endswith(ending)), "")
    return path.with_name(f"{path.stem.removesuffix(ending)}{path.suffix}")


def _judged(one: _Pair, meaning: Meaning, has_ids: bool) -> JudgedImage:
    labels, kind, ignored = meaning.convert(one.truth), meaning.kind, meaning.ignore_label
    truth = true_classes(labels, kind, ignored), true_objects(labels, kind, ignored)
    if not has_ids:
        return judge(one.name, truth, one.result, meaning.num_classes, ignored)
    classes = true_classes(one.result, "instances", None)
    return judge(one.name, truth, classes, meaning.num_classes, ignored, found_objects=one.result)
