"""Which objects a partly drawn mask misses, as another mask or markers of the same image show them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Ids = NDArray[np.int32]
Pixels = NDArray[np.bool_]

MARGIN = 5.0
"""Pixels about a silver object that may be its own: most gold pixels that silver truth misses are that near to it."""


def further_cells(truth: Ids, silver: Ids | None, markers: Ids | None) -> tuple[int, Pixels]:
    """Objects that a truth leaves out.

    Args:
        truth: `(height, width)` object ids, 0 where nothing is drawn.
        silver: Ids of more objects with their outlines, numbered in another way; None if there is no such mask.
        markers: Ids of all objects, each a spot somewhere within; None if there are none.

    Returns:
        How many there are, and `(height, width)` where their pixels may lie: within `MARGIN` of a silver object, and,
        for a marker that no silver object covers either, up to half the longest side of the largest true object away.
        Drawn pixels are never among them.
    """
    drawn, count = truth > 0, 0
    where = np.zeros(truth.shape, bool)
    if silver is not None:
        missed = _undrawn(silver, drawn)
        area = np.isin(silver, missed)
        where |= _near(area, MARGIN)
        drawn, count = drawn | area, count + len(missed)
    if markers is not None:
        missed = _undrawn(markers, drawn)
        where |= _near(np.isin(markers, missed), _longest_side(truth) / 2)
        count += len(missed)
    return count, where & (truth == 0)


def _undrawn(objects: Ids, drawn: Pixels) -> list[int]:
    """Ids of the objects with less than half of their pixels drawn; the outlines of two truths differ a little."""
    ids, sizes = np.unique(objects[objects > 0], return_counts=True)
    inside = dict(zip(*np.unique(objects[drawn], return_counts=True), strict=True))
    return [int(number) for number, size in zip(ids, sizes, strict=True) if 2 * inside.get(number, 0) < size]


def _near(area: Pixels, reach: float) -> Pixels:
    """Pixels of the area and up to `reach` away; none if there is no area."""
    if not area.any():
        return area
    return np.asarray(ndimage.distance_transform_edt(~area) <= reach)


def _longest_side(objects: Ids) -> float:
    """Longest side in pixels of the box about the largest object; infinite if there is none."""
    boxes = [box for box in ndimage.find_objects(objects) if box is not None]
    return float(max((side.stop - side.start for box in boxes for side in box), default=np.inf))
