"""How good a model is on whole labelled images: per-class overlap, the challenges' errors, objects."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet import challenge
from keras_unet.datasets import LabelledImages
from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.instances.instance_settings import BORDER, InstanceSettings
from keras_unet.metrics.computed_metrics import chosen_metrics, figures
from keras_unet.metrics.evaluated_image import JudgedImage, Scope, judge
from keras_unet.metrics.registry import Figures
from keras_unet.metrics.tables import format_table

__all__ = [
    "Figures",
    "best_scope",
    "evaluate",
    "format_table",
    "judge_all",
    "one_class",
    "scope_of",
    "seg",
    "unlearnt",
    "validation_data",
    "validation_sets",
]

Probabilities = NDArray[np.floating[Any]]
Predict = Callable[[NDArray[Any]], Probabilities]

_IGNORED = 255
_HARDLY = 0.01  # IoU of a class that a net has not learnt
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def evaluate(
    model: Any,
    data: LabelledImages,
    *,
    threshold: float | None = 0.5,
    min_size: int = 0,
    watershed: bool = False,
    depth: float = 1.0,
    seed_threshold: float | None = None,
    expand: int = BORDER,
    metrics: Sequence[str] | None = None,
    tile: int | None = None,
) -> Figures:
    """Figures of a model over a data set; counts are summed over all images before a ratio is taken.

    Args:
        model: A `UNet`, predicted by overlap-tile; or a function from an image `(height, width, channels)`, raw, to
            probabilities `(height, width, num_classes)`, one channel meaning that of the foreground.
        data: Labelled images; pixels of the ignored label are left out.
        threshold: Foreground probability of an object, for instances. None takes the one of 0.5, 0.6, 0.7, 0.8, 0.9
            and 0.95 with the best SEG: on validation images a choice, on test images a peek at the answer.
        min_size: Smallest object in pixels, for instances.
        watershed: Whether touching objects are split, for instances.
        depth: Of the watershed, in pixels, see `InstanceSettings`.
        seed_threshold: Upper threshold, above which objects are found before they are flooded, see `InstanceSettings`.
        expand: Width in pixels of gaps between objects that are closed, see `InstanceSettings`.
        metrics: Names of `keras_unet.metrics.computed_metrics.METRICS` or `GROUPS`; None for the usual ones.
        tile: Input tile in pixels of a `UNet`; None for one that suits the memory.

    Returns:
        By default `images`, `pixels`, `iou` and `dice` by class name (None for a class that never occurs), their means
        over the classes that do, and `pixel_accuracy`. For two classes also `pixel_error`, `rand_error`, `v_rand` and
        `v_info` of the ISBI 2012 challenge with class 1 as cells (None if there are none). For instances also
        `threshold`, `objects` in the truth and `objects_found`, `seg` of the Cell Tracking Challenge, `touching_pairs`,
        and `separated_pairs`: those of which both cells are matched (IoU > 0.5).

    Raises:
        ValueError: If the model does not fit the data, its probabilities do not, or a metric does not.
    """
    first = _THRESHOLDS[0] if threshold is None else threshold
    settings = InstanceSettings(first, min_size, watershed, depth, seed_threshold, expand)
    scope = scope_of(data, settings)
    chosen_metrics(metrics, scope)
    images = judge_all(model, data, tile)
    return figures(images, best_scope(images, scope) if threshold is None else scope, metrics)


def scope_of(data: LabelledImages, settings: InstanceSettings) -> Scope:
    """What results for a data set are judged by."""
    return Scope(data.class_names, data.kind, True, settings)


def best_scope(images: Sequence[JudgedImage], scope: Scope) -> Scope:
    """The scope with the threshold of the best SEG, for instances; for classes as it is."""
    if scope.kind != "instances":
        return scope
    highest = scope.instances.seed_threshold or 1.0
    choices = [replace(scope.instances, threshold=value) for value in _THRESHOLDS if value <= highest]
    return replace(scope, instances=max(choices, key=lambda choice: seg(images, choice) or 0.0))


def judge_all(model: Any, data: LabelledImages, tile: int | None = None) -> list[JudgedImage]:
    """A model's result for each image beside its truth, which take about 11 bytes a pixel; arguments as `evaluate`."""
    predict = _tiled(model, tile) if hasattr(model, "geometry") else model
    images = []
    for sample in data:
        labels, kind, ignored = sample.labels, data.kind, data.ignore_label
        truth = true_classes(labels, kind, ignored), true_objects(labels, kind, ignored)
        probabilities = _checked(predict(sample.image), sample.image, data.num_classes)
        images.append(judge(sample.name, truth, probabilities, data.num_classes, ignored))
    return images


def one_class(data: LabelledImages, number: int) -> LabelledImages:
    """The same images with one class (1) against all others (0).

    Args:
        data: Of classes; labelled instances are one class and stay.
        number: Of the class, from 1 on.
    """
    if data.kind == "instances":
        return data
    ignored = data.ignore_label
    samples = tuple(
        replace(one, labels=np.where(one.labels == ignored, _IGNORED, one.labels == number).astype(np.int32))
        for one in data
    )
    return replace(
        data,
        samples=samples,
        num_classes=2,
        class_names=("other", data.class_names[number]),
        ignore_label=None if ignored is None else _IGNORED,
    )


def seg(images: Sequence[JudgedImage], settings: InstanceSettings) -> float | None:
    """SEG of the objects that these settings find; None if the ground truth has no object."""
    if not any(image.objects.any() for image in images):
        return None
    found = [settings.find(image.cell) for image in images if image.cell is not None]
    return float(challenge.seg_measure([image.objects for image in images], found))


def unlearnt(found: Figures) -> list[str]:
    """A sentence on the classes that occur and are hardly ever told right; none if there are none."""
    names = [name for name, overlap in found["iou"].items() if overlap is not None and overlap < _HARDLY]
    if not names:
        return []
    return [
        f"Hardly a pixel of {' or '.join(names)} is told right (IoU below {_HARDLY}): the net has not learnt enough "
        "for any other figure to mean something. Train longer (--set training.steps=…), and look at what it sees with "
        "keras-unet preview."
    ]


def _tiled(model: Any, tile: int | None) -> Predict:
    from keras_unet.inference.tiling import predict

    return lambda image: predict(model, image, tile=tile)


def _checked(probabilities: Probabilities, image: NDArray[Any], num_classes: int) -> Probabilities:
    """Refuse what is no `(height, width, num_classes)`; one channel will do for two classes."""
    shape = np.shape(probabilities)
    channels = (num_classes, 1) if num_classes == 2 else (num_classes,)
    if len(shape) != 3 or shape[:2] != image.shape[:2] or shape[2] not in channels:
        raise ValueError(
            f"Expected probabilities {(*image.shape[:2], num_classes)} for the {num_classes} classes of the data. "
            f"Received shape {shape}."
        )
    return np.asarray(probabilities)


def validation_sets(path: Path) -> list[tuple[Path, LabelledImages]]:
    """Run folders with the samples that each kept for validation: of a run itself, or of each fold in a folder.

    Raises:
        ConfigError: If it is neither, the folds are unfinished, or the run validated on nothing.
        OSError, ValueError: If the data are gone or have changed.
    """
    from .data_split import load_data, split
    from .run_folder import fold_folders

    folders = fold_folders(path)
    if not folders:
        return [(path, validation_data(path))]
    settings = [folder.read_config().data for folder in folders]
    data = load_data(settings[0])
    parts = [split(data, one).validate for one in settings]
    return [(folder.path, part) for folder, part in zip(folders, parts, strict=True) if part is not None]


def validation_data(run: str | os.PathLike[str]) -> LabelledImages:
    """The samples that a run kept for validation, read again.

    Args:
        run: A run folder.

    Raises:
        ConfigError: If it is no run folder, or the run validated on nothing.
        OSError, ValueError: If the data are gone or have changed.
    """
    from .config import ConfigError
    from .data_split import load_data, split
    from .run_folder import RunFolder

    settings = RunFolder(Path(run)).read_config().data
    validate = split(load_data(settings), settings).validate
    if validate is None:
        raise ConfigError(f"Expected a run with a validation set. The one in {os.fspath(run)!r} has data.validate = 0.")
    return validate
