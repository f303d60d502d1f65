"""Region merging for membranes: regions of a watershed are merged while little boundary lies between them.

Plain arrays throughout: (height, width), probability of *cell*; a boundary is what is no cell.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from keras_unet.instances.label_checks import Labels, check_plane, check_probability
from keras_unet.instances.marker_watershed import distance_to_background

MERGE_THRESHOLD = 0.75

_SMOOTHED = 2.0  # pixels, standard deviation of the boundary where seeds are sought
_APART = 4  # pixels between two seeds
_OF_BOUNDARY = 0.7  # of the height that is flooded; the rest is nearness to a boundary
_FAINTEST = 0.02  # of a cell's pixel in a map whose regions are those above 0


def merge_regions(cell: npt.ArrayLike, merge_threshold: float = MERGE_THRESHOLD) -> Labels:
    """Divide an image into cells by a watershed, and merge neighbours between which the membrane is doubtful.

    Seeds are maxima of the distance to a boundary (smoothed, above 0.5); the watershed floods boundary probability and
    nearness to a boundary. Then the two neighbours with the least mean boundary probability along their common border
    are merged, again and again, until it is `merge_threshold` everywhere. Means are weighted by the borders' lengths.

    Args:
        cell: (height, width) probability of cell in [0, 1], 0 on membranes.
        merge_threshold: mean boundary probability in [0, 1] below which two regions are one cell. 0 merges none.

    Returns:
        (height, width) int32 ids from 1; each pixel belongs to a region, membranes included.

    Raises:
        ValueError: a wrong rank, probabilities outside [0, 1] or NaN, or a threshold outside [0, 1].

    Reference: Beucher and Meyer, The morphological approach to segmentation (1993), hierarchical merging over a region
        adjacency graph.
    """
    chance = check_probability(cell)
    check_plane(chance, "a probability")
    limit = check_merge_threshold(merge_threshold)
    boundary = 1.0 - chance.astype(np.float64)
    regions = _oversegmented(boundary)
    if regions.max() < 2:
        return regions
    from skimage import graph

    adjacency = graph.rag_boundary(regions, boundary)
    merged = graph.merge_hierarchical(
        regions,
        adjacency,
        thresh=limit,
        rag_copy=False,
        in_place_merge=True,
        merge_func=lambda *_: None,
        weight_func=_mean_of_borders,
    )
    return np.asarray(merged, np.int32) + 1


def separated_map(cell: npt.ArrayLike, regions: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Probability of cell in which pixels above 0 are the regions, and higher thresholds stay what they were.

    Args:
        cell: (height, width) probability of cell p in [0, 1].
        regions: the same shape, ids.

    Returns:
        0 where a region's pixel has another region to its left, above or above in either diagonal, else 0.02 + 0.98 p.
        No two regions hang together then, and each has p in the order it had.

    Raises:
        ValueError: shapes that differ, or probabilities outside [0, 1] or NaN.
    """
    chance, ids = check_probability(cell), np.asarray(regions)
    if chance.shape != ids.shape or ids.ndim != 2:
        raise ValueError(f"Expected probability and regions of one shape. Received {chance.shape} and {ids.shape}.")
    line = np.zeros(ids.shape, bool)
    line[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    line[1:] |= ids[1:] != ids[:-1]
    line[1:, 1:] |= ids[1:, 1:] != ids[:-1, :-1]
    line[1:, :-1] |= ids[1:, :-1] != ids[:-1, 1:]
    return np.where(line, 0.0, _FAINTEST + (1 - _FAINTEST) * chance).astype(np.float32)


def merged_map(cell: npt.ArrayLike, merge_threshold: float = MERGE_THRESHOLD) -> npt.NDArray[np.float32]:
    """Probability of cell, 0 on the lines between merged regions: `separated_map` of `merge_regions`."""
    return separated_map(cell, merge_regions(cell, merge_threshold))


def check_merge_threshold(value: float) -> float:
    """Read a merge threshold.

    Raises:
        ValueError: outside [0, 1], NaN or no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ValueError(f"Expected a merge threshold in [0, 1]. Received {value!r}.")
    return float(value)


def _oversegmented(boundary: npt.NDArray[np.float64]) -> Labels:
    """Regions of the watershed, ids from 1."""
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    smoothed = cv2.GaussianBlur(boundary, (0, 0), _SMOOTHED, borderType=cv2.BORDER_REFLECT)
    inside = smoothed < 0.5
    if inside.all() or not inside.any():
        return np.ones(boundary.shape, np.int32)
    distance = distance_to_background(inside)
    seeds = np.zeros(boundary.shape, np.int32)
    at = peak_local_max(distance, min_distance=_APART, exclude_border=False, labels=inside.astype(np.uint8))
    seeds[tuple(at.T)] = np.arange(1, len(at) + 1)
    heights = _OF_BOUNDARY * boundary + (1 - _OF_BOUNDARY) * (1 - distance / distance.max())
    return np.asarray(watershed(heights, seeds), np.int32)


def _mean_of_borders(graph: Any, source: int, target: int, neighbour: int) -> dict[str, float]:
    """Weight of the border that a merged region has with a neighbour: of the borders that become one, by length.

    In place, the merged region is `target`; what the source had with the neighbour, if anything, adds to it.
    """
    borders = [graph[node][neighbour] for node in (source, target) if graph.has_edge(node, neighbour)]
    count = sum(border["count"] for border in borders)
    return {"count": count, "weight": sum(border["weight"] * border["count"] for border in borders) / count}
