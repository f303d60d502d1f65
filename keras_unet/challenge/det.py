"""DET, the detection measure of the Cell Tracking Challenge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.seg import FramePair, Frames, pair_frames
from keras_unet.instances.label_checks import check_labels
from keras_unet.instances.matching import contingency

# Penalties of one splitting operation, one missed marker and one extra object.
SPLIT, MISS, EXTRA = 5, 10, 1


class DetectionErrors(NamedTuple):
    """What a result gets wrong: splits of objects that hold several markers, missed markers, extra objects."""

    splits: int
    misses: int
    extras: int
    markers: int  # in the reference, right or wrong


def det_measure(reference: Frames, result: Frames, *, penalise_extras: bool = True) -> float:
    """One minus the cost of mending the detections, over that of marking every object anew.

    Errors are those of `detection_errors`, summed over the frames: 5 for each split, 10 for each miss, 1 for each
    extra. DET = 1 - min(D, D0) / D0 with D the cost and D0 = 10 x the number of reference markers.

    Args:
        reference: markers of one frame (height, width), a stack (frames, height, width), or one array
            (height, width) for each frame; 0 is background.
        result: the same frames, of the same shapes.
        penalise_extras: whether result objects without a marker cost anything.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        ValueError: frames that differ in number or shape, labels that are not ids, or no reference
            marker in any frame.

    Reference: Matula et al., PLoS ONE 10(12):e0144959 (2015), the acyclic oriented graphs measure restricted to
    detections (AOGM-D), normalised.
    """
    return det_of_pairs(pair_frames(reference, result), penalise_extras)


def det_of_pairs(pairs: Iterable[FramePair], penalise_extras: bool = True) -> float:
    """DET of (reference, result) frames, one pair in memory at a time."""
    counts = [detection_errors(*pair) for pair in pairs]
    errors = DetectionErrors(*np.sum(counts, axis=0, dtype=int).tolist()) if counts else DetectionErrors(0, 0, 0, 0)
    if errors.markers == 0:
        raise ValueError("Expected at least one reference marker. Received only background.")
    cost = SPLIT * errors.splits + MISS * errors.misses + penalise_extras * EXTRA * errors.extras
    from_scratch = MISS * errors.markers
    return 1 - min(cost, from_scratch) / from_scratch


def detection_errors(reference: npt.ArrayLike, result: npt.ArrayLike) -> DetectionErrors:
    """Count the wrong detections of one frame.

    A marker is found by the result object that covers more than half of it, otherwise missed. An object that finds
    several markers has to be split once for each but the first; one that finds none is extra.

    Args:
        reference: (height, width) markers, 0 for background.
        result: the same shape.

    Raises:
        ValueError: shapes that differ or labels that are not ids.
    """
    table = contingency(check_labels(reference, "reference"), check_labels(result, "result"))
    marker_sizes = np.bincount(table.truth, weights=table.pixels)
    found = (2 * table.pixels > marker_sizes[table.truth]) & (table.truth > 0) & (table.result > 0)
    markers, objects = (len(np.unique(ids[ids > 0])) for ids in (table.truth, table.result))
    hits, finders = int(np.count_nonzero(found)), len(np.unique(table.result[found]))
    return DetectionErrors(hits - finders, markers - hits, objects - finders, markers)
