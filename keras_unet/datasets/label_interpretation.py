"""Tell what the numbers in label files mean: two classes, several classes, or object ids.

The whole data set decides, never a single file, and the decision comes back as a sentence. What cannot be told
from the values is asked for.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keras_unet.datasets.base import Kind
from keras_unet.datasets.label_values import LabelValues, NamedLabels, collect_values
from keras_unet.instances.label_checks import LARGEST_ID
from keras_unet.utils.argument_checks import check_class_names

LabelKind = Literal["binary", "classes", "instances"]
LABEL_KINDS: tuple[LabelKind, ...] = ("binary", "classes", "instances")

_MOST_CODES = 16  # evenly spread grey values are taken for class codes up to this many
_MOST_CLASSES = 64  # more distinct values in consecutive use are not taken for classes unasked
_FEWEST_OBJECTS = 5  # fewer ids, each in one piece, could be classes such as disc and cup
_FILES_LOOKED_AT = 8
_ASK = (
    'Say which with label_kind="binary", "classes" or "instances" (train: --set data.options.label_kind=…, evaluate: '
    "--label-kind …); name a value without meaning with ignore_label (--set data.options.ignore_label=…)."
)


@dataclass(frozen=True)
class Meaning:
    """How label values are to be read.

    Args:
        kind: `"classes"` or `"instances"`, as for `LabelledImages`.
        num_classes: background included.
        class_names: one per class.
        ignore_label: value of pixels without meaning, after conversion.
        note: the decision, in one sentence.
        convert: file values, any shape, to class numbers or instance ids in int32.
    """

    kind: Kind
    num_classes: int
    class_names: tuple[str, ...]
    ignore_label: int | None
    note: str
    convert: Callable[[NDArray[Any]], NDArray[np.int32]]


def understand(
    files: Sequence[NamedLabels],
    label_kind: LabelKind | None = None,
    num_classes: int | None = None,
    ignore_label: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Meaning:
    """Decide what the labels of a whole data set mean.

    Args:
        files: name and integer labels, `(height, width)` or `(pages, height, width)`, of every file. Each is taken
            once, some twice, and none is kept.
        label_kind: the user's word for it, which settles the matter; None to look at the values.
        num_classes: number of classes, background included, if known.
        ignore_label: file value of pixels without meaning.
        class_names: names of the classes, background first.

    Returns:
        The meaning, with the conversion to apply and a sentence for the user.

    Raises:
        ValueError: options that make no sense, values outside the classes, or values that fit several readings;
            the message names the option that settles it.
    """
    _check_options(label_kind, num_classes, ignore_label)
    found = collect_values(files, ignore_label)
    if label_kind is None:
        label_kind = _guess(files, found, num_classes)
    if label_kind == "instances":
        return _instances(found, ignore_label)
    if label_kind == "binary":
        threshold, note = _binary(found)
        meaning = _Classes(2, ("background", "foreground"), note, lambda x: x >= threshold)
    else:
        meaning = _classes(found, num_classes)
    return meaning.finish(ignore_label, class_names)


@dataclass(frozen=True)
class _Classes:
    num_classes: int
    class_names: tuple[str, ...]
    note: str
    convert: Callable[[NDArray[Any]], NDArray[Any]]

    def finish(self, ignore_label: int | None, names: Sequence[str] | None) -> Meaning:
        """Add the ignored value, moved to 255 if a class has its number, and the user's names."""
        names = self.class_names if names is None else check_class_names(names, self.num_classes)
        kept = ignore_label
        if kept is not None and 0 <= kept < self.num_classes:
            kept = 255

        def convert(labels: NDArray[Any]) -> NDArray[np.int32]:
            classes = self.convert(labels).astype(np.int32)
            return classes if kept is None else np.where(labels == ignore_label, np.int32(kept), classes)

        ignored = "" if ignore_label is None else f" Pixels of {ignore_label} are ignored."
        note = self.note + ignored
        return Meaning("classes", self.num_classes, names, kept, note, convert)


def check_label_kind(label_kind: str) -> None:
    """Refuse what is no kind of label.

    Raises:
        ValueError: Naming those there are, and the nearest.
    """
    if label_kind not in LABEL_KINDS:
        near = difflib.get_close_matches(str(label_kind), LABEL_KINDS, n=1, cutoff=0.3)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise ValueError(f"Expected label_kind among {', '.join(LABEL_KINDS)}. Received {label_kind!r}.{hint}")


def _check_options(label_kind: str | None, num_classes: int | None, ignore_label: int | None) -> None:
    if label_kind is not None:
        check_label_kind(label_kind)
    if num_classes is not None and num_classes < 2:
        raise ValueError(f"Expected num_classes of at least 2, background included. Received {num_classes}.")
    if ignore_label is not None and not -(2**31) <= ignore_label < 2**31:
        raise ValueError(f"Expected ignore_label in -2147483648 to 2147483647. Received {ignore_label}.")
    if num_classes is not None and num_classes > 2 and label_kind in ("binary", "instances"):
        raise ValueError(f'Expected 2 classes with label_kind="{label_kind}". Received num_classes={num_classes}.')


def _guess(files: Sequence[NamedLabels], found: LabelValues, num_classes: int | None) -> LabelKind:
    values = found.values
    if found.are_masks or found.are_lossy:
        if values == [0]:
            raise ValueError(f"{found.names[0]}: expected labels of some object. Received 0 everywhere. {_ASK}")
        return "binary" if num_classes in (None, 2) else "classes"
    if num_classes is not None or _are_codes(values):
        return "classes"
    compact = _share_in_one_piece(files, found.pages)
    if compact >= 0.9 and len(values) > _FEWEST_OBJECTS:
        return "instances"
    if compact < 0.6 and values[-1] < _MOST_CLASSES:
        return "classes"
    raise ValueError(
        f"{found.names[0]}: expected label values that tell what they are. Received {_listed(values)}, which could be "
        f"classes or object ids. {_ASK}"
    )


def _are_codes(values: list[int]) -> bool:
    """Grey values spread evenly from 0 to 255, as drawn for people to see: 0, 127, 255."""
    steps = len(values) - 1
    even = [255 * i / steps for i in range(steps + 1)] if steps else []
    return 3 <= len(values) <= _MOST_CODES and all(abs(v - e) <= 1 for v, e in zip(values, even, strict=True))


def _share_in_one_piece(files: Sequence[NamedLabels], pages: list[int]) -> float:
    """Share of (image, value) pairs whose pixels lie in one connected piece, up to 5 % of stray pixels."""
    numbers = range(0, len(files), -(-len(files) // _FILES_LOOKED_AT))
    places = [(number, page) for number in numbers for page in range(pages[number])]
    places = places[:: -(-len(places) // _FILES_LOOKED_AT)]
    outcomes: list[bool] = []
    for number, chosen in groupby(places, itemgetter(0)):
        labels = files[number][1]
        labels = labels.reshape(-1, *labels.shape[-2:])
        outcomes += [outcome for _, page in chosen for outcome in _in_one_piece(labels[page])]
    return sum(outcomes) / max(1, len(outcomes))


def _in_one_piece(labels: NDArray[Any]) -> list[bool]:
    present, dense = np.unique(labels, return_inverse=True)
    numbers = dense.reshape(labels.shape).astype(np.int32) + 1
    outcomes = []
    for number, (value, window) in enumerate(zip(present, ndimage.find_objects(numbers), strict=True), start=1):
        if value != 0:
            pieces, _ = ndimage.label(numbers[window] == number, np.ones((3, 3)))
            sizes = np.bincount(pieces.ravel())[1:]
            outcomes.append(bool(sizes.max() >= 0.95 * sizes.sum()))
    return outcomes


def _binary(found: LabelValues) -> tuple[int, str]:
    """Threshold from which a value is foreground, and the sentence."""
    values = found.values
    if found.are_lossy:
        return 128, (
            f"Labels hold values near 0 and near 255 ({_listed(values)}), as lossy files do: "
            f"read as background below 128 and foreground from 128."
        )
    if values in ([0, 1], [0, 255]) or len(values) == 1:
        return 1, f"Labels hold {_listed(values)}: read as background (0) and foreground (not 0)."
    mixed = " in different files" if found.are_masks else ""
    return 1, f"Labels hold {_listed(values)}{mixed}: 0 read as background, every other value as foreground."


def _classes(found: LabelValues, num_classes: int | None) -> _Classes:
    values = found.values
    if _are_codes(values) and num_classes in (None, len(values)):
        codes = np.array(values)
        note = f"Labels hold {_listed(values)}, spread evenly: read as classes 0 to {len(values) - 1} in that order."
        return _Classes(len(values), _names(len(values)), note, lambda x: np.searchsorted(codes, x))
    if values == [0, 255] and num_classes in (None, 2):
        return _Classes(2, _names(2), "Labels hold 0, 255: read as classes 0 and 1.", lambda x: x > 0)
    count = max(2, values[-1] + 1) if num_classes is None else num_classes
    _check_inside(found, count, num_classes)
    absent = sorted(set(range(count)) - set(values))
    unseen = f" (no pixel of {_listed(absent)})" if absent else ""
    return _Classes(count, _names(count), f"Labels are read as class numbers 0 to {count - 1}{unseen}.", lambda x: x)


def _check_inside(found: LabelValues, count: int, given: int | None) -> None:
    values = found.values
    if given is None and (count > 256 or count > max(16, 2 * len(values))):
        raise ValueError(
            f"{found.names[0]}: expected class numbers without such gaps. Received {_listed(values)}: give "
            f"num_classes, and name a value without meaning as ignore_label."
        )
    outside = [v for v in values if v >= count]
    if outside:
        raise ValueError(
            f"{found.first_with(outside[0])}: labels outside the classes. Expected 0 to {count - 1} as "
            f"num_classes={count} says. Received {outside[0]}: name it as ignore_label if it has no meaning."
        )


def _instances(found: LabelValues, ignore_label: int | None) -> Meaning:
    values = found.values
    if values[-1] > LARGEST_ID:
        raise ValueError(
            f"{found.first_with(values[-1])}: expected object ids in 0 to {LARGEST_ID}. Received {values[-1]}: number "
            "the objects anew, or name it as ignore_label if it has no meaning."
        )
    objects = len([v for v in values if v > 0])
    note = f"Labels are read as object ids ({objects} different ones up to {values[-1]}), 0 as background."
    return Meaning(
        "instances", 2, ("background", "object"), ignore_label, note, lambda x: np.asarray(x).astype(np.int32)
    )


def _names(count: int) -> tuple[str, ...]:
    return ("background", "foreground") if count == 2 else tuple(f"class {i}" for i in range(count))


def _listed(values: list[int]) -> str:
    if len(values) <= 9:
        return ", ".join(str(v) for v in values)
    return f"{len(values)} values from {values[0]} to {values[-1]}"
