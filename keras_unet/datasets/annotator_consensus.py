"""Several people's labels of one image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def consensus(
    annotations: Sequence[NDArray[np.integer]], ignore_label: int, agreement: float = 1.0
) -> NDArray[np.int32]:
    """The classes that annotators agree on; the ignored label elsewhere, so that nothing is learnt there.

    Args:
        annotations: `(height, width)` classes from each annotator. Not object ids, which every annotator numbers
            otherwise. A pixel of the ignored label is no vote.
        ignore_label: Of the result, and of pixels that an annotator did not judge.
        agreement: Smallest share of the votes for a pixel that its class must have, above 0.5: 1 wants all of them,
            0.51 a majority.

    Returns:
        `(height, width)` int32.

    Raises:
        ValueError: If there are no annotations, their sizes differ, they are no integers, or the share is out of range.
    """
    votes = [np.asarray(one) for one in annotations]
    if not votes:
        raise ValueError("Expected annotations of at least one annotator. Received none.")
    shapes = sorted({one.shape for one in votes})
    if len(shapes) > 1 or len(shapes[0]) != 2 or any(one.dtype.kind not in "iu" for one in votes):
        kinds = ", ".join(f"{one.dtype.name} {one.shape}" for one in votes)
        raise ValueError(f"Expected integer annotations (height, width) of one size. Received {kinds}.")
    if not 0.5 < agreement <= 1.0:
        nearest = 1.0 if agreement > 1.0 else 0.51
        raise ValueError(
            f"Expected an agreement above 0.5 and at most 1. Received {agreement}; nearest is {nearest:g}."
        )
    judged = sum((one != ignore_label).astype(np.int32) for one in votes)
    result = np.full(shapes[0], ignore_label, np.int32)
    for value in np.unique(np.concatenate([np.unique(one) for one in votes])):
        if value != ignore_label:
            share = sum((one == value).astype(np.int32) for one in votes)
            result[(share > 0) & (share >= agreement * judged)] = value
    return result
