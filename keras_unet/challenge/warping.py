"""Warping error of the ISBI 2012 EM challenge: what no smooth warp of the truth can explain.

The truth is warped towards the result by flipping simple points, pixels whose flip changes no
topology (cells 4-connected, membrane 8-connected). Mismatches that remain are topological errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.stacks import THRESHOLDS, ProbabilityStack, read_pair, read_thresholds
from keras_unet.instances.components import connected_components

Mask = npt.NDArray[np.bool_]

# The eight neighbours in a circle from the right-hand one; edge neighbours have even places.
RING = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))

# A mismatch inside one cell is a split if removing its pixel parts the cell within this many pixels.
SPLIT_RADIUS = 20


def is_simple(ring: int) -> bool:
    """Whether a pixel is a simple point, given its neighbours as bits in the order of `RING`."""
    bits = [ring >> place & 1 for place in range(8)]
    edges = ((bits[place], bits[place + 1], bits[(place + 2) % 8]) for place in range(0, 8, 2))
    return sum(edge - edge * corner * following for edge, corner, following in edges) == 1


SIMPLE = bytes(is_simple(ring) for ring in range(256))


class TopologyErrors(NamedTuple):
    """Mismatching pixels that remain after warping: all of them, and those of two kinds."""

    mismatches: int
    splits: int
    mergers: int


def warping_error(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    classic: bool = False,
) -> float:
    """Count the splits and mergers left after warping the truth, over all pixels of the stack.

    Cells that touch without membrane between them are one cell here, whatever their ids.

    Args:
        truth: (height, width) or (slices, height, width), integer or boolean; nonzero is cell.
        probability: the same shape, probability of *cell* in [0, 1].
        thresholds: a pixel is cell where its probability is greater; the best threshold counts.
        classic: count all mismatches that remain, not splits and mergers alone.

    Returns:
        A number in [0, 1], 0 is best.

    Raises:
        ValueError: shapes that differ, a float truth, probabilities outside [0, 1] or NaN,
            thresholds outside [0, 1].

    Reference: Jain et al., CVPR 2010; Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142 (2015).
    """
    labels, cell_probability = read_pair(truth, probability)
    slices = list(zip(labels > 0, cell_probability, strict=True))
    counts = [sum(_count_errors(*pair, limit, classic) for pair in slices) for limit in read_thresholds(thresholds)]
    return min(counts) / labels.size


def _count_errors(truth: Mask, probability: ProbabilityStack, threshold: float, classic: bool) -> int:
    errors = topology_errors(truth, probability, threshold)
    return errors.mismatches if classic else errors.splits + errors.mergers


def topology_errors(truth: Mask, probability: ProbabilityStack, threshold: float) -> TopologyErrors:
    """Count what remains after warping one slice of the truth.

    Args:
        truth: (height, width), true in cells.
        probability: (height, width), probability of cell.
        threshold: a pixel is cell where its probability is greater.
    """
    warped, remaining = warp(truth, probability, threshold)
    around = remaining[:, np.newaxis] + _ring_offsets(warped.shape[1])
    distinct = _count_distinct(connected_components(warped).ravel()[around])
    inside = warped.ravel()[remaining]
    splits = np.count_nonzero(inside & (distinct > 2))
    splits += sum(_parts_its_cell(warped, pixel) for pixel in remaining[inside & (distinct == 2)].tolist())
    return TopologyErrors(len(remaining), int(splits), int(np.count_nonzero(~inside & (distinct > 2))))


def warp(truth: Mask, probability: ProbabilityStack, threshold: float) -> tuple[Mask, npt.NDArray[np.intp]]:
    """Flip mismatching simple points of the truth, the surest first, until none is left.

    Args:
        truth: (height, width), true in cells.
        probability: (height, width), probability of cell.
        threshold: a pixel is cell where its probability is greater.

    Returns:
        The warped truth on a canvas one pixel wider on each side, and the mismatches that remain as
        positions in the flattened canvas.
    """
    canvas = np.pad(truth, 1)
    mismatches = _surest_first(truth, probability, threshold)
    remain = _flip_simple_points(canvas, mismatches)
    canvas.flat[mismatches[~remain]] = ~canvas.flat[mismatches[~remain]]
    return canvas, mismatches[remain]


def _surest_first(truth: Mask, probability: ProbabilityStack, threshold: float) -> npt.NDArray[np.intp]:
    """Positions of the mismatches on the canvas; equally sure ones column by column."""
    columns, rows = np.nonzero((truth != (probability > threshold)).T)
    distance = np.abs(probability[rows, columns].astype(np.float64) - threshold).astype(np.float32)
    order = np.argsort(-distance, kind="stable")
    positions = (rows + 1) * (truth.shape[1] + 2) + columns + 1
    return np.asarray(positions[order], dtype=np.intp)


class _Search(NamedTuple):
    """State of the warping of one slice; a turn is a mismatch's place in the order of looking."""

    positions: list[int]  # of each turn, on the flattened canvas
    turns: list[int]  # of each position; -1 where there is no mismatch (any more)
    rings: bytearray  # the neighbours of each position as bits
    waiting: bytearray  # for each turn, whether a look is due
    steps: list[tuple[int, int]]  # to each neighbour, with the bit by which it sees the pixel


def _flip_simple_points(canvas: Mask, mismatches: npt.NDArray[np.intp]) -> Mask:
    """Pass over the mismatches until a pass flips none; True for those that could not be flipped.

    A pixel can become simple only when a neighbour is flipped, so after the first pass each pass
    looks at such pixels alone, in the same order: this gives what full passes would.
    """
    positions: list[int] = mismatches.tolist()
    offsets: list[int] = _ring_offsets(canvas.shape[1]).tolist()
    steps = [(offset, 1 << (place + 4) % 8) for place, offset in enumerate(offsets)]
    waiting = bytearray(b"\1") * len(positions)
    search = _Search(positions, _turns(canvas, mismatches), _ring_codes(canvas), waiting, steps)
    due = list(range(len(positions)))
    while due:
        due = _one_pass(search, due)
    return np.array([search.turns[position] >= 0 for position in positions], dtype=bool)


def _one_pass(search: _Search, due: list[int]) -> list[int]:
    """Look at the mismatches that are due, a heap of turns; return those due in the next pass."""
    positions, turns, rings, waiting, steps = search
    later: list[int] = []
    while due:
        turn = heappop(due)
        waiting[turn] = 0
        position = positions[turn]
        if not SIMPLE[rings[position]]:
            continue
        turns[position] = -1
        for offset, bit in steps:
            neighbour = position + offset
            rings[neighbour] ^= bit
            other = turns[neighbour]
            if other >= 0 and not waiting[other]:
                waiting[other] = 1
                heappush(due if other > turn else later, other)
    return later


def _turns(canvas: Mask, mismatches: npt.NDArray[np.intp]) -> list[int]:
    """For each pixel of the canvas its place among the mismatches, -1 where there is none."""
    turns = np.full(canvas.size, -1)
    turns[mismatches] = np.arange(len(mismatches))
    listed: list[int] = turns.tolist()
    return listed


def _ring_codes(canvas: Mask) -> bytearray:
    """Code the neighbours of each pixel of the canvas as bits in the order of `RING`."""
    rows, columns = canvas.shape
    around = np.pad(canvas, 1).astype(np.uint8)
    codes = np.zeros(canvas.shape, np.uint8)
    for place, (down, right) in enumerate(RING):
        codes |= around[1 + down : 1 + down + rows, 1 + right : 1 + right + columns] << np.uint8(place)
    return bytearray(codes.tobytes())


def _ring_offsets(columns: int) -> npt.NDArray[np.intp]:
    return np.array([down * columns + right for down, right in RING])


def _count_distinct(values: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    steps = np.diff(np.sort(values, axis=1), axis=1) != 0
    return np.asarray(1 + steps.sum(axis=1), dtype=np.intp)


def _parts_its_cell(warped: Mask, position: int) -> bool:
    """Whether taking one pixel away leaves parts that meet nowhere within `SPLIT_RADIUS`."""
    row, column = divmod(position, warped.shape[1])
    top, left = max(row - SPLIT_RADIUS, 0), max(column - SPLIT_RADIUS, 0)
    window = warped[top : row + SPLIT_RADIUS + 1, left : column + SPLIT_RADIUS + 1].copy()
    window[row - top, column - left] = False
    labels = connected_components(window)
    around = labels[row - top - 1 : row - top + 2, column - left - 1 : column - left + 2]
    return len({0, *around.ravel().tolist()}) > 2
