"""Touching cells generated from a seed, so that everything runs with no download.

Fluorescence-like grey images: colonies of irregular cells that truly share borders (no gap in the truth), a dim
line where they touch, uneven light, a brightness of its own for every cell, texture, debris, photon and camera
noise. No single threshold tells the cells apart, as uneven light and the cells' own brightness vary by more than
the line is deep; the line itself is well over the noise, so eye and net can follow it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keras_unet.datasets.base import LabelledImages, Sample

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

CELL_RADIUS = 28.0
"""Mean radius in pixels of a cell, unless more cells are asked for than fit at that size."""

_COVERAGE = 0.45  # part of the image the cells would cover if none overlapped
_SMALLEST_IMAGE = 32
_SMALLEST_RADIUS = 4.0
_IN_COLONY = 0.9  # probability that the next cell grows at the side of another
_TRIES = 400


def synthetic(
    count: int = 8, size: int | tuple[int, int] = 512, cells: int | None = None, seed: int = 0
) -> LabelledImages:
    """Images of touching cells with instance ids.

    Image `i` depends on `seed`, `i`, `size` and `cells` alone, so a longer data set begins with a shorter one.

    Args:
        count: number of images.
        size: height and width in pixels, or one number for both; at least 32.
        cells: about how many cells an image holds; by default as many as fit comfortably (48 for 512 x 512).
        seed: a number from 0; another seed gives other images.

    Returns:
        Grey images `(height, width, 1)` uint8 with instance ids, 0 for background.

    Raises:
        ValueError: `count`, `size`, `cells` or `seed` is out of range.
    """
    shape = _checked_shape(size)
    most = int(_COVERAGE * shape[0] * shape[1] / (np.pi * _SMALLEST_RADIUS**2))
    cells = max(1, round(_COVERAGE * shape[0] * shape[1] / (np.pi * CELL_RADIUS**2))) if cells is None else cells
    _check_number("count", count, 1, None)
    _check_number("cells", cells, 1, max(1, most))
    _check_number("seed", seed, 0, None)
    samples = tuple(_sample(shape, cells, seed, index) for index in range(count))
    note = f"Synthetic touching cells from seed {seed}: labels are instance ids, 0 is background."
    return LabelledImages(samples, "instances", 2, ("background", "cell"), None, (note,))


def _sample(shape: tuple[int, int], cells: int, seed: int, index: int) -> Sample:
    rng = np.random.default_rng((seed, index))
    labels, depth = _grow(_place(shape, cells, rng), shape, rng)
    return Sample(f"synthetic-{seed}-{index:04d}", _photograph(labels, depth, rng)[..., np.newaxis], labels)


@dataclass(frozen=True)
class _Cell:
    """Outline in polar form: radius(angle) = radius * ellipse(angle) * (1 + lobes)."""

    row: float
    column: float
    radius: float
    elongation: float
    angle: float
    lobes: Floats  # (3, 2): amplitude and phase of the 2nd to 4th harmonic

    def relative_distance(self, rows: Floats, columns: Floats) -> Floats:
        """Distance from the centre over the outline's radius in that direction: 1 on the outline."""
        dy, dx = rows - self.row, columns - self.column
        theta = np.arctan2(dy, dx) - self.angle
        stretch = np.hypot(np.cos(theta) / self.elongation, np.sin(theta) * self.elongation)
        lobes = sum(a * np.cos(k * theta + p) for k, (a, p) in enumerate(self.lobes, start=2))
        return np.asarray(np.hypot(dy, dx) * stretch / (self.radius * (1 + lobes)))


def _place(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> list[_Cell]:
    """Cells in colonies: most new cells lie at the side of an earlier one, close enough to touch."""
    mean = min(CELL_RADIUS, float(np.sqrt(_COVERAGE * shape[0] * shape[1] / (np.pi * cells))))
    placed: list[_Cell] = []
    for _ in range(cells):
        radius = mean * rng.uniform(0.8, 1.2)
        centre = _free_centre(placed, radius, shape, rng)
        if centre is not None:
            placed.append(_cell(*centre, radius, rng))
    return placed


def _cell(row: float, column: float, radius: float, rng: np.random.Generator) -> _Cell:
    lobes = np.stack([rng.normal(0, (0.06, 0.06, 0.035)), rng.uniform(0, 2 * np.pi, 3)], axis=1)
    return _Cell(row, column, radius, rng.uniform(1.0, 1.25), rng.uniform(0, np.pi), lobes.clip(-0.15, None))


def _free_centre(
    placed: list[_Cell], radius: float, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float] | None:
    """Find a centre inside the image that crowds no earlier cell; None if there is no room left."""
    inset = min(0.5 * radius, 0.25 * min(shape))
    others = np.array([(c.row, c.column, c.radius) for c in placed]).reshape(-1, 3)
    for _ in range(_TRIES):
        row, column = rng.uniform(inset, shape[0] - inset), rng.uniform(inset, shape[1] - inset)
        if placed and rng.random() < _IN_COLONY:
            row, column = _beside(placed[rng.integers(len(placed))], radius, rng)
        inside = inset <= row <= shape[0] - inset and inset <= column <= shape[1] - inset
        gaps = np.hypot(others[:, 0] - row, others[:, 1] - column) / (others[:, 2] + radius)
        if inside and (gaps > 0.72).all():
            return row, column
    return None


def _beside(other: _Cell, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.73, 0.85) * (other.radius + radius)
    return other.row + reach * np.sin(angle), other.column + reach * np.cos(angle)


def _grow(cells: list[_Cell], shape: tuple[int, int], rng: np.random.Generator) -> tuple[Labels, Floats]:
    """Instance ids, and how deep inside its cell each pixel lies (1 at the centre, 0 on a free outline).

    A pixel belongs to the cell whose outline it is relatively deepest inside, so cells that overlap meet in a
    curve with no gap. Bending the coordinates makes these curves irregular.
    """
    labels, nearest = np.zeros(shape, np.int32), np.ones(shape)
    rows = np.arange(shape[0])[:, np.newaxis] + 2.0 * _smooth_noise(shape, 7.0, rng)
    columns = np.arange(shape[1]) + 2.0 * _smooth_noise(shape, 7.0, rng)
    for number, cell in enumerate(cells, start=1):
        window = _window(cell, shape)
        distance = cell.relative_distance(rows[window], columns[window])
        closer = distance < nearest[window]
        nearest[window][closer], labels[window][closer] = distance[closer], number
    return _in_one_piece(labels), 1 - nearest


def _window(cell: _Cell, shape: tuple[int, int]) -> tuple[slice, slice]:
    reach = 1.8 * cell.radius + 10
    rows = slice(max(0, int(cell.row - reach)), min(shape[0], int(cell.row + reach) + 1))
    columns = slice(max(0, int(cell.column - reach)), min(shape[1], int(cell.column + reach) + 1))
    return rows, columns


def _in_one_piece(labels: Labels) -> Labels:
    """Keep the largest 4-connected piece of every cell and number the cells without gaps."""
    whole = np.zeros_like(labels)
    number = 0
    for old, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        pieces, _ = ndimage.label(labels[window] == old)
        number += 1
        whole[window][pieces == np.bincount(pieces.ravel())[1:].argmax() + 1] = number
    return whole


def _photograph(labels: Labels, depth: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Record these cells as a microscope's camera would."""
    scene = 0.13 + _debris(labels, rng)
    inside = labels > 0
    scene[inside] = (_bodies(labels, depth, rng) * _contact_line(labels, rng))[inside]
    sharp = ndimage.gaussian_filter(scene, 0.7)
    return _expose(sharp * _light(labels.shape, rng), rng)


def _bodies(labels: Labels, depth: Floats, rng: np.random.Generator) -> Floats:
    """Each cell's own brightness, a little brighter in the middle, with granules and a dim nucleus."""
    brightness = rng.uniform(0.42, 1.0, labels.max() + 1)[labels]
    granules = 0.04 * _smooth_noise(labels.shape, 2.0, rng) + 0.06 * _smooth_noise(labels.shape, 5.0, rng)
    nucleus = 1 / (1 + np.exp(-(depth + 0.08 * _smooth_noise(labels.shape, 6.0, rng) - 0.6) / 0.03))
    return np.asarray(brightness * (0.88 + 0.2 * depth.clip(0, 1) + granules - 0.18 * nucleus))


def _contact_line(labels: Labels, rng: np.random.Generator) -> Floats:
    """Factor below 1 along the curves where two cells meet, of varying depth."""
    near = ndimage.maximum_filter(labels, 3)
    far = ndimage.minimum_filter(np.where(labels > 0, labels, np.iinfo(np.int32).max), 3)
    contact = (labels > 0) & (near != far)
    line = ndimage.gaussian_filter(contact.astype(np.float64), 0.6)
    return np.asarray(1 - line * (0.41 + 0.06 * _smooth_noise(labels.shape, 9.0, rng)).clip(0.3, 0.54))


def _debris(labels: Labels, rng: np.random.Generator) -> Floats:
    """Faint haze and a few specks between the cells."""
    haze = 0.02 * _smooth_noise(labels.shape, 12.0, rng)
    specks = (rng.random(labels.shape) < 6e-5).astype(np.float64)
    return np.asarray(haze + 2.0 * ndimage.gaussian_filter(specks, 1.3))


def _light(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Illumination: a slope across the image, and fall-off from a bright spot; from about 0.4 to 1.1."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    angle, (y, x) = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4, 2)
    slope = 0.3 * (rows * np.sin(angle) + columns * np.cos(angle))
    return np.asarray((0.87 + slope - 0.16 * ((rows - y) ** 2 + (columns - x) ** 2)).clip(0.35, 1.15))


def _expose(scene: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photon (Poisson) and read-out (Gaussian) noise, 8 bits."""
    photons_per_level = 8.0
    photons = rng.poisson(scene.clip(0, None) * 220 * photons_per_level)
    levels = photons / photons_per_level + rng.normal(0, 2.0, scene.shape) + 6
    return np.asarray(levels.round().clip(0, 255).astype(np.uint8))


def _smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Floats:
    """Noise of mean 0 and deviation 1 that varies over about `sigma` pixels."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray((noise - noise.mean()) / max(noise.std(), 1e-12))


def _checked_shape(size: int | tuple[int, int]) -> tuple[int, int]:
    shape = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    if len(shape) != 2 or any(not isinstance(n, int | np.integer) or n < _SMALLEST_IMAGE for n in shape):
        raise ValueError(
            f"Expected a size of two numbers (height, width), each at least {_SMALLEST_IMAGE}. Received {size!r}."
        )
    return int(shape[0]), int(shape[1])


def _check_number(name: str, value: int, low: int, high: int | None) -> None:
    legal = isinstance(value, int | np.integer) and value >= low and (high is None or value <= high)
    if not legal:
        limits = f"from {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"Expected {name} to be a whole number {limits}. Received {value!r}.")
