"""Border thinning of the EM challenge: cells grown over the membrane until lines one pixel wide part them.

Scores of thinned results do not depend on how wide a net draws membranes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_unet.instances.components import connected_components
from keras_unet.instances.label_checks import Labels

# Besides the ids of cells: a line between cells, what lies around the image, membrane not reached yet, and queued.
_LINE, _OUTSIDE, _MEMBRANE, _QUEUED = 0, -1, -2, -3


def thin_membranes(cells: npt.NDArray[np.bool_]) -> Labels:
    """Flood the membrane from all cells at once; where two floods meet, a line stays.

    Args:
        cells: (height, width), true in cells.

    Returns:
        (height, width) int32 ids, 0 on the lines. Without any cell the image is one object.

    Reference: Vincent and Soille, IEEE Transactions on Pattern Analysis and Machine Intelligence 13 (1991), in the
        order of the challenge's own program: pixels column by column, neighbours left, above, right, below.
    """
    if not cells.any():
        return np.ones(cells.shape, np.int32)
    canvas = np.pad(np.where(cells, connected_components(cells), _MEMBRANE).T, 1, constant_values=_OUTSIDE)
    columns = canvas.shape[1]
    flooded = _flood(canvas.ravel(), (-columns, -1, columns, 1))
    return np.ascontiguousarray(flooded.reshape(canvas.shape)[1:-1, 1:-1].T)


def _flood(canvas: Labels, steps: tuple[int, ...]) -> Labels:
    shore = np.flatnonzero(canvas == _MEMBRANE)
    queue: list[int] = shore[np.any([canvas[shore + step] > 0 for step in steps], axis=0)].tolist()
    canvas[queue] = _QUEUED
    labels: list[int] = canvas.tolist()
    from_line = False
    for position in queue:  # which grows on the way
        label = _QUEUED
        for step in steps:
            near = labels[position + step]
            if near > 0:
                if label == _QUEUED or (label == _LINE and from_line):
                    label = near
                elif label > 0 and label != near:
                    label, from_line = _LINE, False
            elif near == _LINE:
                if label == _QUEUED:
                    label, from_line = _LINE, True
            elif near == _MEMBRANE:
                labels[position + step] = _QUEUED
                queue.append(position + step)
        labels[position] = label
    return np.array(labels, np.int32)
