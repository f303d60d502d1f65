"""How good a model is on whole labelled images: per-class overlap, the challenges' errors, objects told apart."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_unet import challenge
from keras_unet.datasets import LabelledImages
from keras_unet.instances import instances, separated_pairs

if TYPE_CHECKING:
    from keras_unet.pipeline import Example

Probabilities = NDArray[np.floating[Any]]
Predict = Callable[[NDArray[Any]], Probabilities]
Figures = dict[str, Any]

_FOREGROUND = 1
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def evaluate(
    model: Any, data: LabelledImages, *, threshold: float | None = 0.5, min_size: int = 0, tile: int | None = None
) -> Figures:
    """Figures of a model over a data set; counts are summed over all images before a ratio is taken.

    Args:
        model: A `UNet`, predicted by overlap-tile; or a function from an image `(height, width, channels)`, raw, to
            probabilities `(height, width, num_classes)`, one channel meaning that of the foreground.
        data: Labelled images; pixels of the ignored label are left out.
        threshold: Foreground probability of an object, for instances. None takes the one of 0.5, 0.6, 0.7, 0.8, 0.9
            and 0.95 with the best SEG: on validation images a choice, on test images a peek at the answer.
        min_size: Smallest object in pixels, for instances.
        tile: Input tile in pixels of a `UNet`; None for one that suits the memory.

    Returns:
        `images`, `pixels`, `iou` and `dice` by class name (None for a class that never occurs), their means over the
        classes that do, and `pixel_accuracy`. For two classes also `pixel_error` and `rand_error` of the ISBI 2012
        challenge with class 1 as cells (None if there are none). For instances also `threshold`, `objects` in the
        truth and `objects_found`, `seg` of the Cell Tracking Challenge, `touching_pairs`, and `separated_pairs`: those
        of which both cells are matched (IoU > 0.5).

    Raises:
        ValueError: If the model does not fit the data, or its probabilities do not.
    """
    from keras_unet.pipeline import prepare

    predict = _tiled(model, tile) if hasattr(model, "geometry") else model
    tally = _Tally(data)
    for example in prepare(data, w0=0.0, class_weights=None):
        tally.add(example, _checked(predict(example.image), example.image, data.num_classes))
    return tally.figures(threshold, min_size)


class _Tally:
    """What is counted image by image, and kept for figures that need all images at once."""

    def __init__(self, data: LabelledImages) -> None:
        self._data = data
        self._matrix = np.zeros((data.num_classes, data.num_classes), np.int64)
        self._truths: list[NDArray[np.bool_]] = []
        self._cells: list[NDArray[np.float32]] = []
        self._objects: list[NDArray[np.int32]] = []

    def add(self, example: "Example", probabilities: Probabilities) -> None:
        """Count an image, whose ignored pixels have weight 0."""
        counted = example.weight > 0
        self._matrix += _confusion(example.label[counted], _classes(probabilities)[counted], len(self._matrix))
        if len(self._matrix) == 2:
            self._truths.append((example.label == _FOREGROUND) & counted)
            self._cells.append(np.where(counted, probabilities[..., -1], 0.0).astype(np.float32))
            self._objects.append(example.instances)

    def figures(self, threshold: float | None, min_size: int) -> Figures:
        """All figures of the images so far."""
        figures = {"images": len(self._data), "pixels": int(self._matrix.sum())}
        figures |= _overlaps(self._matrix, self._data.class_names)
        if self._truths:
            figures |= _challenge_errors(self._truths, self._cells)
        if self._data.kind == "instances":
            thresholds = _THRESHOLDS if threshold is None else (threshold,)
            choices = [_object_figures(self._objects, self._cells, value, min_size) for value in thresholds]
            figures |= max(choices, key=lambda choice: choice["seg"] or 0.0)
        return figures


def _tiled(model: Any, tile: int | None) -> Predict:
    from keras_unet.tiling import predict

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


def _classes(probabilities: Probabilities) -> NDArray[np.int64]:
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] > 0.5).astype(np.int64)
    return np.asarray(np.argmax(probabilities, axis=-1), np.int64)


def _confusion(truth: NDArray[Any], result: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """Pixel counts `(num_classes, num_classes)`: row the truth, column the result."""
    cell = truth.astype(np.int64) * num_classes + result
    return np.bincount(cell, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def _overlaps(matrix: NDArray[np.int64], names: Sequence[str]) -> Figures:
    from keras_unet.metrics import class_scores, pixel_accuracy

    scores = class_scores(matrix)
    return {
        "pixel_accuracy": _number(pixel_accuracy(matrix)),
        "mean_iou": _mean(scores.iou),
        "mean_dice": _mean(scores.dice),
        "iou": {name: _number(value) for name, value in zip(names, scores.iou, strict=True)},
        "dice": {name: _number(value) for name, value in zip(names, scores.dice, strict=True)},
    }


def _number(value: float) -> float | None:
    """A Python number for JSON, None for NaN."""
    return None if np.isnan(value) else float(value)


def _mean(scores: NDArray[np.float64]) -> float | None:
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if present.size else None


def _challenge_errors(truths: list[NDArray[np.bool_]], cells: list[NDArray[np.float32]]) -> Figures:
    if not any(truth.any() for truth in truths):
        return {"pixel_error": None, "rand_error": None}
    truth, cell = _stacked(truths), _stacked(cells)
    return {
        "pixel_error": float(challenge.pixel_error(truth, cell)),
        "rand_error": float(challenge.rand_error(truth, cell)),
    }


def _stacked(planes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Images of any sizes as `(images, height, width)`. Background added below and right counts in neither error."""
    height, width = (max(plane.shape[axis] for plane in planes) for axis in (0, 1))
    return np.stack([np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]))) for p in planes])


def _object_figures(
    truths: list[NDArray[np.int32]], cells: list[NDArray[np.float32]], threshold: float, min_size: int
) -> Figures:
    # What the net was taught is one pixel short where cells touch; growing gives that pixel back.
    found = [instances(cell, threshold, min_size, grow=1) for cell in cells]
    pairs = np.array([separated_pairs(truth, result) for truth, result in zip(truths, found, strict=True)])
    count = _count(truths)
    return {
        "threshold": threshold,
        "objects": count,
        "objects_found": _count(found),
        "seg": float(challenge.seg_measure(truths, found)) if count else None,
        "separated_pairs": int(pairs[:, 0].sum()),
        "touching_pairs": int(pairs[:, 1].sum()),
    }


def _count(labels: list[NDArray[np.int32]]) -> int:
    return sum(len(np.unique(ids[ids > 0])) for ids in labels)


def format_table(figures: Figures) -> str:
    """Figures of `evaluate` as lines for a terminal."""
    width = max(len("class"), *(len(name) for name in figures["iou"])) + 2
    lines = [f"{'class':<{width}}{'IoU':>8}{'Dice':>8}"]
    for name, iou in figures["iou"].items():
        lines.append(f"{name:<{width}}{_digits(iou):>8}{_digits(figures['dice'][name]):>8}")
    lines.append(f"{'mean':<{width}}{_digits(figures['mean_iou']):>8}{_digits(figures['mean_dice']):>8}")
    lines.append(f"pixel accuracy {_digits(figures['pixel_accuracy'])} over {_images(figures['images'])}")
    if "pixel_error" in figures:
        errors = f"pixel error {_digits(figures['pixel_error'])}, Rand error {_digits(figures['rand_error'])}"
        lines.append(f"{errors}, each at its best threshold")
    if "seg" in figures:
        found = f"{figures['objects_found']} objects found, {figures['objects']} true"
        lines.append(f"SEG {_digits(figures['seg'])} at threshold {figures['threshold']:g}: {found}")
        lines.append(f"touching pairs told apart: {figures['separated_pairs']} of {figures['touching_pairs']}")
    return "\n".join(lines)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def validation_data(run: str | os.PathLike[str]) -> LabelledImages:
    """The samples that a run kept for validation, read again.

    Args:
        run: A run folder.

    Raises:
        ConfigError: If it is no run folder, or the run validated on nothing.
        OSError, ValueError: If the data are gone or have changed.
    """
    from .config import ConfigError
    from .run_folder import RunFolder
    from .split import load_data, split

    settings = RunFolder(Path(run)).read_config().data
    validate = split(load_data(settings), settings).validate
    if validate is None:
        raise ConfigError(f"Expected a run with a validation set. The one in {os.fspath(run)!r} has data.validate = 0.")
    return validate
