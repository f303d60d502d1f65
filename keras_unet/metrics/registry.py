"""What can be asked for of judged images: each metric by its name, with its needs and what takes it. No TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_unet import challenge
from keras_unet.instances.matching import separated_pairs
from keras_unet.metrics import scores
from keras_unet.metrics.evaluated_image import Judgement, Labels, Scope
from keras_unet.metrics.salient import MEASURES, salient_scores

Figures = dict[str, Any]

_IGNORED = 255  # stands for ignored pixels in truths of two classes


class Metric(NamedTuple):
    """A metric by its needs and what takes it."""

    take: Callable[[Judgement], Figures]
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


def _number(value: float) -> float | None:
    """A Python number for JSON, None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def _mean(values: Sequence[float] | npt.NDArray[np.float64]) -> float | None:
    present = [value for value in values if np.isfinite(value)]
    return float(np.mean(present)) if present else None


def _by_class(name: str, values: Sequence[float], judgement: Judgement, first: int = 0) -> Figures:
    named = zip(judgement.scope.class_names[first:], values, strict=True)
    return {f"mean_{name}": _mean(values), name: {class_name: _number(value) for class_name, value in named}}


def _of_overlap(judgement: Judgement, name: str, score: str) -> Figures:
    return _by_class(name, [getattr(one, score) for one in scores.class_overlaps(judgement.matrix)], judgement)


def _dice_per_image(judgement: Judgement) -> Figures:
    by_image = np.array([scores.class_scores(image.matrix).dice for image in judgement.images])
    means = [_mean(column) for column in by_image.T]
    return _by_class("dice_per_image", [np.nan if mean is None else mean for mean in means], judgement)


def _pixel_accuracy(judgement: Judgement) -> Figures:
    return {"pixel_accuracy": _number(scores.pixel_accuracy(judgement.matrix))}


def _auc(judgement: Judgement) -> Figures:
    pairs = zip(judgement.images, judgement.truths, strict=True)
    truths = [np.where(image.counted, truth, _IGNORED) for image, truth in pairs]
    counted = np.concatenate([truth[truth != _IGNORED] for truth in truths])
    if counted.size == 0 or counted.min() == counted.max():
        return {"auc": None}
    return {"auc": scores.auc(truths, judgement.cells, _IGNORED)}


def _challenge_error(judgement: Judgement, name: str, error: Callable[..., float]) -> Figures:
    return {name: float(error(*judgement.stacks)) if any(truth.any() for truth in judgement.truths) else None}


def _warping_error(truth: npt.NDArray[Any], cell: npt.NDArray[Any]) -> float:
    return challenge.warping_error(truth, cell) * truth.size


def _warping(judgement: Judgement) -> Figures:
    """Warping error over the pixels that count, not over those that were added to images of different sizes."""
    errors = _challenge_error(judgement, "warping_error", _warping_error)["warping_error"]
    return {"warping_error": None if errors is None else errors / int(judgement.matrix.sum())}


def _split_merge(judgement: Judgement, name: str, curve: Callable[..., challenge.ScoreCurve]) -> Figures:
    if not any(truth.any() for truth in judgement.truths):
        return {name: None, f"{name}_split": None, f"{name}_merge": None}
    best = curve(*judgement.stacks).best
    return {name: best.f_score, f"{name}_split": best.split, f"{name}_merge": best.merge}


def _seg(judgement: Judgement) -> Figures:
    count, found = _count(judgement.objects), judgement.found_objects
    given = all(image.found_objects is not None for image in judgement.images)
    return {
        **({} if given else asdict(judgement.scope.instances)),
        "objects": count,
        "objects_found": _count(found),
        "seg": float(challenge.seg_measure(judgement.objects, found)) if count else None,
    }


def _det(judgement: Judgement) -> Figures:
    if not judgement.has_objects:
        return {"det": None}
    return {"det": float(challenge.det_measure(judgement.objects, judgement.found_objects))}


def _separated_pairs(judgement: Judgement) -> Figures:
    planes = zip(judgement.objects, judgement.found_objects, strict=True)
    pairs = np.array([separated_pairs(truth, result) for truth, result in planes])
    return {"separated_pairs": int(pairs[:, 0].sum()), "touching_pairs": int(pairs[:, 1].sum())}


def _hausdorff(judgement: Judgement) -> Figures:
    """Mean over the images that have a class in both; images where one alone has it are counted beside it."""
    classes = range(1, len(judgement.scope.class_names))
    # Ignored pixels are made background in both.
    planes = [(image.truth, np.where(image.counted, image.found, 0)) for image in judgement.images]
    distances = np.array([[scores.hausdorff(*pair, value) for value in classes] for pair in planes])
    means = [_mean(column) for column in distances.T]
    by_class = _by_class("hausdorff95", [np.nan if mean is None else mean for mean in means], judgement, first=1)
    return {**by_class, "hausdorff95_missing": int(np.isinf(distances).sum())}


def _salient(judgement: Judgement, name: str) -> Figures:
    if not all(image.counted.all() for image in judgement.images):
        raise ValueError(f"Expected no ignored pixels for {name}, which takes whole images. Received some.")
    return {name: _number(salient_scores(judgement.truths, judgement.cells, [name])[name])}


def _count(labels: Sequence[Labels]) -> int:
    return sum(len(np.unique(ids[ids > 0])) for ids in labels)


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
