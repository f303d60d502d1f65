"""What tests of the challenges' metrics share: small cells, the rules restated plainly, frames of a sequence."""

from itertools import product

import numpy as np
import tifffile
from scipy import ndimage

from keras_unet.challenge.warping import RING, SIMPLE, topology_errors, warp


def two_cells(membrane=3):
    cells = np.ones((7, 7), int)
    cells[:, membrane] = 0
    return cells


TWO_CELLS = np.array([[1, 1, 0, 2, 2]] * 2)
MERGED = np.ones((2, 5), int)
HALF_LOST = np.array([[1, 0, 0, 1, 1]] * 2)


def ring_code(image, row, column):
    return sum(int(image[row + down, column + right]) << place for place, (down, right) in enumerate(RING))


def warp_by_full_passes(truth, probability, threshold):
    image, target = np.pad(truth, 1), np.pad(probability > threshold, 1)
    distance = np.pad(np.abs(probability - threshold).astype(np.float32), 1)
    while True:
        before = image.copy()
        mismatches = [
            (r, c) for c, r in product(range(image.shape[1]), range(image.shape[0])) if image[r, c] != target[r, c]
        ]
        for row, column in sorted(mismatches, key=lambda place: -distance[place]):
            if SIMPLE[ring_code(image, row, column)]:
                image[row, column] ^= True
        if (image == before).all():
            return image, mismatches


def kind_of_error(image, row, column):
    def values_around(labels):
        return {int(labels[row + down, column + right]) for down, right in RING}

    around = values_around(ndimage.label(image)[0])
    if len(around) == 2 and image[row, column]:
        window = np.zeros_like(image)
        near = (slice(max(row - 20, 0), row + 21), slice(max(column - 20, 0), column + 21))
        window[near] = image[near]
        window[row, column] = False
        return "split" if len(values_around(ndimage.label(window)[0])) > 2 else "hole"
    if len(around) < 3:
        return "object or hole"
    return "split" if image[row, column] else "merger"


def assert_follows_the_rules(truth, probability, threshold):
    image, mismatches = warp_by_full_passes(truth, probability, threshold)
    kinds = [kind_of_error(image, *place) for place in mismatches]
    warped, _ = warp(truth, probability, threshold)
    assert (warped == image).all()
    assert topology_errors(truth, probability, threshold) == (
        len(mismatches),
        kinds.count("split"),
        kinds.count("merger"),
    )


def rand_by_pairs(truth, result):
    """Go over all pairs of the truth's cell pixels, slice by slice."""
    together = np.zeros(3, int)
    for cells, found in zip(truth, result, strict=True):
        one, other = ndimage.label(cells)[0][cells], ndimage.label(found)[0][cells]
        other = np.where(other > 0, other, -1 - np.arange(len(other)))
        in_truth, in_result = one[:, None] == one, other[:, None] == other
        together += [in_truth.sum(), in_result.sum(), (in_truth & in_result).sum()]
    return 2 * together[2] / (together[0] + together[1])


def read_frames(folder, pattern):
    return [tifffile.imread(path) for path in sorted(folder.glob(pattern))]
