"""Scores of segmented images against their truth, on NumPy arrays: overlap, ranking and boundaries. No TensorFlow.

Of several images, pixels are counted over all of them before a ratio is taken, unless a name says otherwise. Images are
one array `(height, width)`, a stack `(images, height, width)`, or one array `(height, width)` for each image, of any
sizes. With t the pixels of a class in the truth, r those in the result and i those in both: IoU = i / (t + r - i),
Dice = F1 = 2 i / (t + r), precision = i / r, recall = i / t. What is 0 / 0 has no score: NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from keras_unet.challenge.seg import Frames, pair_frames
from keras_unet.instances.label_checks import check_plane, check_probability, check_same_shape

Matrix = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CROSS = ndimage.generate_binary_structure(2, 1)


class Overlap(NamedTuple):
    """Pixels of one class: in truth and result both, in the truth, in the result."""

    both: int
    truth: int
    result: int

    @property
    def iou(self) -> float:
        """Intersection over union, the Jaccard index."""
        return _ratio(self.both, self.truth + self.result - self.both)

    @property
    def dice(self) -> float:
        """Dice coefficient, which is the F1 score of the pixels."""
        return _ratio(2 * self.both, self.truth + self.result)

    @property
    def precision(self) -> float:
        """Part of the result that is right."""
        return _ratio(self.both, self.result)

    @property
    def recall(self) -> float:
        """Part of the truth that is found."""
        return _ratio(self.both, self.truth)


class ClassScores(NamedTuple):
    """Scores `(classes,)` of each class, float64, NaN where a class is in neither truth nor result."""

    iou: npt.NDArray[np.float64]
    dice: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]


def overlap(truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None) -> Overlap:
    """Count the pixels of a class over all images.

    Args:
        truth: Classes of one or several images, integers or booleans.
        result: The same images, of the same shapes.
        class_index: The class.
        ignore_label: Label in the truth of the pixels to leave out, or None.

    Raises:
        ValueError: If images differ in number or shape, or labels are no integers from 0 on.
    """
    counts = [_overlap(*pair, class_index, ignore_label) for pair in pair_frames(truth, result)]
    return Overlap(*(sum(column) for column in zip(*counts, strict=True))) if counts else Overlap(0, 0, 0)


def iou(truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None) -> float:
    """Intersection over union of a class; arguments as `overlap`, NaN where the class is in neither."""
    return overlap(truth, result, class_index, ignore_label).iou


def dice(truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None) -> float:
    """Dice coefficient of a class over the data set; arguments as `overlap`, NaN where the class is in neither."""
    return overlap(truth, result, class_index, ignore_label).dice


def dice_per_image(
    truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None
) -> npt.NDArray[np.float64]:
    """Dice coefficient of each image by itself, `(images,)`; `numpy.nanmean` is the mean over images.

    Arguments as `overlap`. NaN for an image with the class in neither truth nor result.
    """
    pairs = pair_frames(truth, result)
    return np.array([_overlap(*pair, class_index, ignore_label).dice for pair in pairs], np.float64)


def f1(truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None) -> float:
    """F1 score of the pixels of a class, another name of `dice`."""
    return dice(truth, result, class_index, ignore_label)


def precision(truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None) -> float:
    """Part of a class in the result that is right; arguments as `overlap`, NaN where the result has none of it."""
    return overlap(truth, result, class_index, ignore_label).precision


def recall(truth: Frames, result: Frames, class_index: int = 1, ignore_label: int | None = None) -> float:
    """Part of a class in the truth that is found; arguments as `overlap`, NaN where the truth has none of it."""
    return overlap(truth, result, class_index, ignore_label).recall


def auc(truth: Frames, probability: Frames, ignore_label: int | None = None) -> float:
    """Area under the ROC curve, exact, of the pixels of all images pooled.

    The probability that a foreground pixel has a higher value than a background pixel, ties counting one half: no
    threshold is left out.

    Args:
        truth: Labels of one or several images, nonzero is foreground.
        probability: The same images, of the same shapes, probability of foreground in [0, 1].
        ignore_label: Label in the truth of the pixels to leave out, or None.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        ValueError: If images differ in number or shape, labels are no integers from 0 on, probabilities are outside
            [0, 1] or NaN, or the truth is all foreground or all background.

    Reference: Hanley and McNeil, Radiology 143 (1982), the Mann-Whitney statistic.
    """
    pooled = [_ranked(*pair, ignore_label) for pair in pair_frames(truth, probability)]
    foreground = np.concatenate([mask for mask, _ in pooled]) if pooled else np.zeros(0, bool)
    positives = int(np.count_nonzero(foreground))
    negatives = foreground.size - positives
    if positives == 0 or negatives == 0:
        received = "no pixel" if foreground.size == 0 else "only foreground" if positives else "only background"
        raise ValueError(f"Expected a truth with foreground and background for AUC. Received {received}.")
    values, place = np.unique(np.concatenate([chance for _, chance in pooled]), return_inverse=True)
    right = np.bincount(place[foreground], minlength=values.size)
    wrong = np.bincount(place[~foreground], minlength=values.size)
    lower = np.cumsum(wrong) - wrong
    # Twice the number of ordered pairs is whole, and exact in int64 up to 2 ** 31 pixels of each kind.
    return int((right * (2 * lower + wrong)).sum()) / (2 * positives * negatives)


def hausdorff(
    truth: npt.ArrayLike,
    result: npt.ArrayLike,
    class_index: int = 1,
    percentile: float = 95.0,
    ignore_label: int | None = None,
) -> float:
    """Hausdorff distance of the boundaries of a class in one image, in pixels, by default its 95 % variant (HD95).

    Boundary pixels are pixels of the class with one of their four neighbours outside the class or outside the image.
    From each boundary pixel of the one image the Euclidean distance to the nearest boundary pixel of the other is
    taken, centre to centre; of these directed distances the percentile, interpolated linearly; and of the two
    directions the larger one. 100 gives the Hausdorff distance itself. Others pool both directions before they take
    the percentile, which gives smaller figures.

    Args:
        truth: `(height, width)` classes, integers or booleans.
        result: The same shape.
        class_index: The class.
        percentile: In (0, 100].
        ignore_label: Label in the truth of the pixels that count as outside the class in both, or None.

    Returns:
        Pixels, 0 is best; infinity if truth or result alone lacks the class, NaN if both do.

    Raises:
        ValueError: If shapes differ, labels are no integers from 0 on, or the percentile is out of its range.

    Reference: Huttenlocher, Klanderman and Rucklidge, IEEE PAMI 15(9) (1993), the partial distance.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"Expected a percentile in (0, 100]. Received {percentile}.")
    labels, found, counted = _checked(truth, result, ignore_label)
    edges = [_boundary((plane == class_index) & counted) for plane in (labels, found)]
    if not (edges[0].any() and edges[1].any()):
        return float("inf") if edges[0].any() or edges[1].any() else float("nan")
    return max(_directed(edges[0], edges[1], percentile), _directed(edges[1], edges[0], percentile))


def confusion_matrix(
    truth: npt.ArrayLike, result: npt.ArrayLike, num_classes: int, ignore_label: int | None = None
) -> Matrix:
    """Pixel counts of one image, `(num_classes, num_classes)`: row the truth, column the result.

    Args:
        truth: `(height, width)` classes.
        result: The same shape.
        num_classes: Number of classes, background included.
        ignore_label: Label in the truth of the pixels to leave out, or None.

    Raises:
        ValueError: If shapes differ, or labels are no classes.
    """
    labels, found, counted = _checked(truth, result, ignore_label)
    row, column = labels[counted].astype(np.int64), found[counted].astype(np.int64)
    for name, values in (("truth", row), ("result", column)):
        if values.size and values.max() >= num_classes:
            raise ValueError(f"Expected classes 0 to {num_classes - 1} in the {name}. Received {values.max()}.")
    cells = np.bincount(row * num_classes + column, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def class_overlaps(matrix: npt.ArrayLike) -> list[Overlap]:
    """The overlap of each class from a confusion matrix `(classes, classes)`, row the truth.

    Raises:
        ValueError: If the matrix is not square.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"Expected a square confusion matrix. Received shape {counts.shape}.")
    columns = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    return [Overlap(*pixels) for pixels in zip(*(column.tolist() for column in columns), strict=True)]


def class_scores(matrix: npt.ArrayLike) -> ClassScores:
    """Scores of each class from a confusion matrix; `numpy.nanmean` of one is the mean over classes.

    Args:
        matrix: Pixel counts `(classes, classes)`, row the truth, column the result.

    Raises:
        ValueError: If the matrix is not square.

    Example:
        >>> class_scores([[2, 1], [0, 1]]).iou.round(3).tolist()
        [0.667, 0.5]
    """
    classes = class_overlaps(matrix)
    return ClassScores(*(np.array([getattr(one, name) for one in classes]) for name in ClassScores._fields))


def pixel_accuracy(matrix: npt.ArrayLike) -> float:
    """Part of the pixels whose class is right, from a confusion matrix `(classes, classes)`; NaN without pixels."""
    counts = np.asarray(matrix)
    return _ratio(float(np.trace(counts)), float(counts.sum()))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _overlap(truth: npt.ArrayLike, result: npt.ArrayLike, class_index: int, ignore_label: int | None) -> Overlap:
    labels, found, counted = _checked(truth, result, ignore_label)
    true, guessed = (labels == class_index) & counted, (found == class_index) & counted
    return Overlap(*(int(np.count_nonzero(mask)) for mask in (true & guessed, true, guessed)))


def _checked(
    truth: npt.ArrayLike, result: npt.ArrayLike, ignore_label: int | None
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], Mask]:
    """Truth, result and the pixels that count, `(height, width)` each."""
    labels, counted = _labels(truth, "truth", ignore_label)
    found, _ = _labels(result, "result", None)
    check_same_shape(labels, found)
    return labels, found, counted


def _labels(array: npt.ArrayLike, name: str, ignore_label: int | None) -> tuple[npt.NDArray[np.generic], Mask]:
    """Labels of an image and where they are not the ignored one, which alone may be negative."""
    labels = np.asarray(array)
    check_plane(labels, name)
    if labels.dtype.kind not in "biu":
        raise ValueError(f"Expected {name} of integer labels. Received {labels.dtype}.")
    counted = np.ones(labels.shape, bool) if ignore_label is None else np.asarray(labels != ignore_label)
    if labels.dtype.kind == "i" and bool((labels[counted] < 0).any()):
        raise ValueError(f"Expected {name} of labels from 0 on. Received {labels[counted].min()}.")
    return labels, counted


def _ranked(
    truth: npt.ArrayLike, probability: npt.ArrayLike, ignore_label: int | None
) -> tuple[Mask, npt.NDArray[np.floating]]:
    """Whether each counted pixel is foreground, and its probability, in a row."""
    labels, counted = _labels(truth, "truth", ignore_label)
    chance = check_probability(probability)
    check_same_shape(labels, chance)
    return labels[counted] != 0, chance[counted]


def _boundary(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask, _CROSS))


def _directed(one: Mask, other: Mask, percentile: float) -> float:
    """The percentile of the distances from the pixels of one boundary to the other."""
    return float(np.percentile(ndimage.distance_transform_edt(~other)[one], percentile))
