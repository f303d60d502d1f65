"""Figures of images judged against their truth, chosen by name. No TensorFlow.

A figure of several images is what its room says: pixels are counted over all images first (`keras_unet.scores`), the
challenge's errors take the stack (`keras_unet.challenge`), boundary distances and salient-object scores are means over
the images. A figure of one image is that of a data set of this image alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_unet import challenge, scores
from keras_unet.datasets.base import Kind
from keras_unet.instance_settings import InstanceSettings
from keras_unet.instances import separated_pairs
from keras_unet.salient import MEASURES, salient_scores

Figures = dict[str, Any]
Labels = npt.NDArray[np.int32]

_IGNORED = 255  # stands for ignored pixels in truths of two classes


@dataclass(frozen=True, eq=False)
class JudgedImage:
    """An image's truth beside its result, arrays `(height, width)` throughout.

    Args:
        name: For tables.
        truth: Classes; anything where pixels do not count.
        counted: Which pixels count.
        found: Classes of the result.
        matrix: Pixel counts `(classes, classes)`, row the truth, column the result.
        cell: Probability of foreground, 0 where pixels do not count; None for more than two classes.
        objects: Ids of the truth's objects.
        found_objects: Ids of the result's objects where it has them; None to find them in `cell`.
    """

    name: str
    truth: npt.NDArray[Any]
    counted: npt.NDArray[np.bool_]
    found: npt.NDArray[Any]
    matrix: npt.NDArray[np.int64]
    cell: npt.NDArray[np.float32] | None
    objects: Labels
    found_objects: Labels | None = None


@dataclass(frozen=True)
class Scope:
    """What images are judged by.

    Args:
        class_names: Background first.
        kind: Whether the truth has classes or instances.
        probabilities: Whether the results are probabilities; labels count as probabilities 0 and 1.
        instances: How objects are told apart.
    """

    class_names: tuple[str, ...]
    kind: Kind
    probabilities: bool = True
    instances: InstanceSettings = InstanceSettings()


def judge(
    name: str,
    labels: tuple[Labels, Labels],
    result: npt.NDArray[Any],
    num_classes: int,
    ignore_label: int | None = None,
    found_objects: Labels | None = None,
) -> JudgedImage:
    """Lay a result beside its truth.

    Args:
        name: For tables.
        labels: Classes and object ids of the truth, `(height, width)` each.
        result: Classes `(height, width)`, integers; or probabilities `(height, width, num_classes)`, of two classes
            also `(height, width, 1)`, that of the foreground.
        num_classes: Background included.
        ignore_label: Label of the pixels to leave out, or None.
        found_objects: Ids of the result's objects where it has them.

    Raises:
        ValueError: If shapes do not go together, labels are no classes, or probabilities are NaN.
    """
    truth, objects = labels
    if result.dtype.kind == "f" and np.isnan(result).any():
        raise ValueError(f"{name}: expected probabilities. Received NaN.")
    found = _classes(result) if result.ndim == 3 else result
    matrix = scores.confusion_matrix(truth, found, num_classes, ignore_label)
    counted = np.ones(truth.shape, bool) if ignore_label is None else np.asarray(truth != ignore_label)
    cell = None
    if num_classes == 2:
        cell = np.where(counted, result[..., -1] if result.ndim == 3 else result, 0).astype(np.float32)
    small = np.uint8 if num_classes <= 256 else np.uint16
    if found_objects is not None:
        found_objects = np.where(counted, found_objects, 0)
    kept = np.where(counted, truth, 0).astype(small)
    return JudgedImage(name, kept, counted, found.astype(small), matrix, cell, objects, found_objects)


def figures(images: Sequence[JudgedImage], scope: Scope, metrics: Sequence[str] | None = None) -> Figures:
    """Figures of images over the whole data set.

    Args:
        images: At least one.
        scope: What they are judged by.
        metrics: Names of `METRICS` or `GROUPS`; None for `DEFAULT`, of which what does not fit the data is left out
            and what is not defined for them is None.

    Returns:
        `images`, `pixels` and the figures. `iou`, `dice`, `dice_per_image`, `precision`, `recall`, `f1` and
        `hausdorff95` are by class name, None for a class without a score, with `mean_…` over the classes that have one.

    Raises:
        ValueError: If a name is unknown, does not fit the data, or is not defined for them, as without any object.
    """
    return _taken(images, scope, chosen_metrics(metrics, scope), strict=metrics is not None)


def figures_by_image(
    images: Sequence[JudgedImage], scope: Scope, metrics: Sequence[str] | None = None
) -> dict[str, Figures]:
    """Figures of each image by itself, by its name; None where one is not defined. Arguments as `figures`."""
    names = chosen_metrics(metrics, scope)
    return {image.name: _taken([image], scope, names, strict=False) for image in images}


def check_metrics(names: Sequence[str]) -> None:
    """Refuse what is no name of a metric or group.

    Raises:
        ValueError: Naming those there are, and the nearest.
    """
    known = [*GROUPS, *METRICS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Expected metrics among {', '.join(known)}. Received {name!r}.{hint}")


def chosen_metrics(names: Sequence[str] | None, scope: Scope) -> tuple[str, ...]:
    """Names of the metrics that fit the data, in order and without repetition.

    Raises:
        ValueError: If a metric asked for by its name does not fit, or none of a group does.
    """
    check_metrics(names or ())
    if names is None:
        return tuple(name for name in DEFAULT if METRICS[name].misfit(scope) is None)
    chosen: dict[str, None] = {}
    for name in names:
        members = GROUPS.get(name, (name,))
        misfits = {member: METRICS[member].misfit(scope) for member in members}
        fitting = [member for member, misfit in misfits.items() if misfit is None]
        if not fitting:
            expected, received = misfits[members[0]] or ("", "")
            raise ValueError(f"Expected {expected} for {name}. Received {received}.")
        chosen |= dict.fromkeys(fitting)
    return tuple(chosen)


class _Judgement:
    """What several metrics need of the images, made once."""

    def __init__(self, images: Sequence[JudgedImage], scope: Scope) -> None:
        self.images, self.scope = images, scope

    @cached_property
    def matrix(self) -> npt.NDArray[np.int64]:
        return np.asarray(np.sum([image.matrix for image in self.images], axis=0), np.int64)

    @cached_property
    def cells(self) -> list[npt.NDArray[np.float32]]:
        return [image.cell for image in self.images if image.cell is not None]

    @cached_property
    def truths(self) -> list[npt.NDArray[np.bool_]]:
        return [(image.truth == 1) & image.counted for image in self.images]

    @cached_property
    def stacks(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return _stacked(self.truths), _stacked(self.cells)

    @cached_property
    def objects(self) -> list[Labels]:
        return [image.objects for image in self.images]

    @cached_property
    def found_objects(self) -> list[Labels]:
        find = self.scope.instances.find
        given = [image.found_objects for image in self.images]
        return [find(cell) if ids is None else ids for ids, cell in zip(given, self.cells, strict=True)]

    @cached_property
    def has_objects(self) -> bool:
        if self.scope.kind == "instances":
            return any(bool(ids.any()) for ids in self.objects)
        return bool(self.matrix[1:].any())


class Metric(NamedTuple):
    """A metric by its needs and what takes it."""

    take: Callable[[_Judgement], Figures]
    two_classes: bool = False
    instances: bool = False
    probabilities: bool = False
    objects: bool = False

    def misfit(self, scope: Scope) -> tuple[str, str] | None:
        """What would have to be given for it, and what is; None if it fits."""
        if self.instances and scope.kind != "instances":
            return "a truth of instance ids", "classes; --label-kind instances says otherwise"
        if self.two_classes and len(scope.class_names) != 2:
            return "data of two classes", f"{len(scope.class_names)} classes"
        if self.probabilities and not scope.probabilities:
            return "results that are probabilities", "labels"
        return None


def _taken(images: Sequence[JudgedImage], scope: Scope, names: Sequence[str], strict: bool) -> Figures:
    """Figures of metrics that fit; what is not defined is refused if `strict`, else None."""
    judgement = _Judgement(images, scope)
    taken: Figures = {"images": len(images), "pixels": int(judgement.matrix.sum())}
    for name in names:
        metric = METRICS[name]
        if metric.objects and not judgement.has_objects and strict:
            raise ValueError(f"Expected a truth with at least one object for {name}. Received background alone.")
        taken |= metric.take(judgement)
    return taken


def _number(value: float) -> float | None:
    """A Python number for JSON, None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def _mean(values: Sequence[float] | npt.NDArray[np.float64]) -> float | None:
    present = [value for value in values if np.isfinite(value)]
    return float(np.mean(present)) if present else None


def _by_class(name: str, values: Sequence[float], judgement: _Judgement, first: int = 0) -> Figures:
    named = zip(judgement.scope.class_names[first:], values, strict=True)
    return {f"mean_{name}": _mean(values), name: {class_name: _number(value) for class_name, value in named}}


def _of_overlap(judgement: _Judgement, name: str, score: str) -> Figures:
    return _by_class(name, [getattr(one, score) for one in scores.class_overlaps(judgement.matrix)], judgement)


def _dice_per_image(judgement: _Judgement) -> Figures:
    by_image = np.array([scores.class_scores(image.matrix).dice for image in judgement.images])
    means = [_mean(column) for column in by_image.T]
    return _by_class("dice_per_image", [np.nan if mean is None else mean for mean in means], judgement)


def _pixel_accuracy(judgement: _Judgement) -> Figures:
    return {"pixel_accuracy": _number(scores.pixel_accuracy(judgement.matrix))}


def _auc(judgement: _Judgement) -> Figures:
    pairs = zip(judgement.images, judgement.truths, strict=True)
    truths = [np.where(image.counted, truth, _IGNORED) for image, truth in pairs]
    counted = np.concatenate([truth[truth != _IGNORED] for truth in truths])
    if counted.size == 0 or counted.min() == counted.max():
        return {"auc": None}
    return {"auc": scores.auc(truths, judgement.cells, _IGNORED)}


def _challenge_error(judgement: _Judgement, name: str, error: Callable[..., float]) -> Figures:
    return {name: float(error(*judgement.stacks)) if any(truth.any() for truth in judgement.truths) else None}


def _warping_error(truth: npt.NDArray[Any], cell: npt.NDArray[Any]) -> float:
    return challenge.warping_error(truth, cell) * truth.size


def _warping(judgement: _Judgement) -> Figures:
    """Warping error over the pixels that count, not over those that were added to images of different sizes."""
    errors = _challenge_error(judgement, "warping_error", _warping_error)["warping_error"]
    return {"warping_error": None if errors is None else errors / int(judgement.matrix.sum())}


def _split_merge(judgement: _Judgement, name: str, curve: Callable[..., challenge.ScoreCurve]) -> Figures:
    if not any(truth.any() for truth in judgement.truths):
        return {name: None, f"{name}_split": None, f"{name}_merge": None}
    best = curve(*judgement.stacks).best
    return {name: best.f_score, f"{name}_split": best.split, f"{name}_merge": best.merge}


def _seg(judgement: _Judgement) -> Figures:
    count, found = _count(judgement.objects), judgement.found_objects
    given = all(image.found_objects is not None for image in judgement.images)
    return {
        **({} if given else asdict(judgement.scope.instances)),
        "objects": count,
        "objects_found": _count(found),
        "seg": float(challenge.seg_measure(judgement.objects, found)) if count else None,
    }


def _det(judgement: _Judgement) -> Figures:
    if not judgement.has_objects:
        return {"det": None}
    return {"det": float(challenge.det_measure(judgement.objects, judgement.found_objects))}


def _separated_pairs(judgement: _Judgement) -> Figures:
    planes = zip(judgement.objects, judgement.found_objects, strict=True)
    pairs = np.array([separated_pairs(truth, result) for truth, result in planes])
    return {"separated_pairs": int(pairs[:, 0].sum()), "touching_pairs": int(pairs[:, 1].sum())}


def _hausdorff(judgement: _Judgement) -> Figures:
    """Mean over the images that have a class in both; images where one alone has it are counted beside it."""
    classes = range(1, len(judgement.scope.class_names))
    # Ignored pixels are made background in both.
    planes = [(image.truth, np.where(image.counted, image.found, 0)) for image in judgement.images]
    distances = np.array([[scores.hausdorff(*pair, value) for value in classes] for pair in planes])
    means = [_mean(column) for column in distances.T]
    by_class = _by_class("hausdorff95", [np.nan if mean is None else mean for mean in means], judgement, first=1)
    return {**by_class, "hausdorff95_missing": int(np.isinf(distances).sum())}


def _salient(judgement: _Judgement, name: str) -> Figures:
    if not all(image.counted.all() for image in judgement.images):
        raise ValueError(f"Expected no ignored pixels for {name}, which takes whole images. Received some.")
    return {name: _number(salient_scores(judgement.truths, judgement.cells, [name])[name])}


def _count(labels: Sequence[Labels]) -> int:
    return sum(len(np.unique(ids[ids > 0])) for ids in labels)


def _stacked(planes: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Images of any sizes as `(images, height, width)`. Background added below and right adds to no error."""
    height, width = (max(plane.shape[axis] for plane in planes) for axis in (0, 1))
    return np.stack([np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]))) for p in planes])


def _classes(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] > 0.5).astype(np.int64)
    return np.asarray(np.argmax(probabilities, axis=-1), np.int64)


_OVERLAPS = {"iou": "iou", "dice": "dice", "precision": "precision", "recall": "recall", "f1": "dice"}
_ERRORS = {"pixel_error": challenge.pixel_error, "rand_error": challenge.rand_error}
_CURVES = {"v_rand": challenge.v_rand, "v_info": challenge.v_info}

METRICS: Mapping[str, Metric] = {
    **{name: Metric(partial(_of_overlap, name=name, score=score)) for name, score in _OVERLAPS.items()},
    "dice_per_image": Metric(_dice_per_image),
    "pixel_accuracy": Metric(_pixel_accuracy),
    "auc": Metric(_auc, two_classes=True, probabilities=True, objects=True),
    **{
        name: Metric(partial(_challenge_error, name=name, error=error), two_classes=True, objects=True)
        for name, error in _ERRORS.items()
    },
    "warping_error": Metric(_warping, two_classes=True, objects=True),
    **{
        name: Metric(partial(_split_merge, name=name, curve=curve), two_classes=True, objects=True)
        for name, curve in _CURVES.items()
    },
    "seg": Metric(_seg, instances=True, objects=True),
    "det": Metric(_det, instances=True, objects=True),
    "separated_pairs": Metric(_separated_pairs, instances=True, objects=True),
    "hausdorff95": Metric(_hausdorff, objects=True),
    **{name: Metric(partial(_salient, name=name), two_classes=True) for name in MEASURES},
}
"""What can be asked for, by name."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "overlap": ("iou", "dice", "dice_per_image", "precision", "recall", "f1", "pixel_accuracy", "auc"),
    "em": ("pixel_error", "rand_error", "warping_error", "v_rand", "v_info"),
    "cells": ("seg", "det", "separated_pairs"),
    "boundary": ("hausdorff95",),
    "salient": MEASURES,
}
"""Metrics that go together, by name."""

DEFAULT = (
    *("pixel_accuracy", "iou", "dice", "pixel_error", "rand_error", "v_rand", "v_info", "seg", "separated_pairs"),
)
"""What is taken unasked."""
