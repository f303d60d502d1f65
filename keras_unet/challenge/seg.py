"""SEG, the segmentation measure of the Cell Tracking Challenge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_unet.instances.label_checks import check_labels
from keras_unet.instances.matching import contingency
from keras_unet.utils.argument_checks import refuse_path

Frames = npt.NDArray[Any] | Iterable[npt.ArrayLike]
FramePair = tuple[npt.ArrayLike, npt.ArrayLike]


def seg_measure(reference: Frames, result: Frames) -> float:
    """Mean Jaccard index over all reference objects of all annotated frames.

    An object of the result that covers more than half of a reference object is its match; a
    reference object without a match counts 0, further objects of the result do not count. All
    reference objects of all frames weigh the same.

    Args:
        reference: ids of one frame (height, width), a stack (frames, height, width), or one array
            (height, width) for each annotated frame; 0 is background.
        result: the same frames, of the same shapes.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        ValueError: frames that differ in number or shape, labels that are not ids, or no reference
            object in any frame.

    Reference: Cell Tracking Challenge, SEGMeasure; Maska et al., Bioinformatics 30 (2014).
    """
    return seg_of_pairs(pair_frames(reference, result))


def seg_of_pairs(pairs: Iterable[FramePair]) -> float:
    """SEG of (reference, result) frames, one pair in memory at a time."""
    scores = [score for pair in pairs for score in object_jaccards(*pair).values()]
    if not scores:
        raise ValueError("Expected at least one reference object. Received only background.")
    return float(np.mean(scores))


def object_jaccards(reference: npt.ArrayLike, result: npt.ArrayLike) -> dict[int, float]:
    """Jaccard index of each reference object of one frame with its match, 0 where it has none.

    Args:
        reference: (height, width) ids, 0 for background.
        result: the same shape.

    Returns:
        Reference id -> Jaccard index, in the order of the ids.

    Raises:
        ValueError: shapes that differ or labels that are not ids.
    """
    table = contingency(check_labels(reference, "reference"), check_labels(result, "result"))
    reference_sizes = np.bincount(table.truth, weights=table.pixels)
    result_sizes = np.bincount(table.result, weights=table.pixels)
    union = reference_sizes[table.truth] + result_sizes[table.result] - table.pixels
    covered = 2 * table.pixels > reference_sizes[table.truth]
    matched = covered & (table.truth > 0) & (table.result > 0)
    scores = dict.fromkeys(np.unique(table.truth[table.truth > 0]).tolist(), 0.0)
    return scores | dict(zip(table.truth[matched].tolist(), (table.pixels / union)[matched].tolist(), strict=True))


def pair_frames(reference: Frames, result: Frames) -> Iterator[FramePair]:
    """Frames of a reference and a result side by side.

    Raises:
        ValueError: they differ in number.
    """
    references, results = _as_frames(reference), _as_frames(result)
    if len(references) != len(results):
        raise ValueError(
            f"Expected as many result frames as reference frames. Received {len(results)} and {len(references)}."
        )
    return zip(references, results, strict=True)


def _as_frames(labels: Frames) -> list[npt.ArrayLike]:
    refuse_path(labels, "seg_of_sequence and det_of_sequence read the challenge's folders")
    return [labels] if isinstance(labels, np.ndarray) and labels.ndim == 2 else list(labels)
