"""Averaging over versions of a whole image that are rotated by angles between quarter turns.

The paper's ISBI 2012 result was "averaged over 7 rotated versions of the input data" (section 4); by which angles it
does not say. A tile that is turned by such an angle depends on pixels of its neighbours and lies off the net's grid, so
the mirrored image is turned: in memory, before tiling.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keras_unet.models.geometry import Geometry

Plane = NDArray[np.float32]

ROTATIONS: dict[str, tuple[float, ...]] = {"rotations7": tuple(360.0 * step / 7 for step in range(7))}
"""Sets of rotated versions by name, angles in degrees. `"rotations7"`, our reading of the paper: seven equal steps of a
full turn, the image as it is among them."""


@dataclass(frozen=True)
class Turn:
    """A mirrored image turned about its centre, and back.

    The turned image has all that the net sees of the image, `geometry.margin` around it included. Its centre lies where
    that of the image does in the net's grid of `geometry.stride` pixels, so that all versions are pooled alike.

    Args:
        angle: In degrees.
        size: Height and width of the image in pixels.
        geometry: Sizes of the net.
    """

    angle: float
    size: tuple[int, int]
    geometry: Geometry

    def apply(self, image: NDArray[Any]) -> Plane:
        """The turned image, larger than `image` `(height, width, channels)`; read bilinearly, as training warps do."""
        matrix, centre, turned = self._matrix(), _centre(self.size), _centre(self.turned_size())
        return _resampled(image, matrix, centre - matrix @ turned, self.turned_size(), "mirror")

    def undo(self, scores: NDArray[Any]) -> Plane:
        """`(height, width, values)` of the image from those of the turned image, read bilinearly."""
        matrix, centre, turned = self._matrix().T, _centre(self.size), _centre(self.turned_size())
        return _resampled(scores, matrix, turned - matrix @ centre, self.size, "nearest")

    def turned_size(self) -> tuple[int, int]:
        """Height and width of the turned image in pixels."""
        spans = np.abs(self._matrix()) @ np.array(self.size) / 2 + self.geometry.margin + 1
        stride = self.geometry.stride
        height, width = (
            size + 2 * stride * math.ceil((span - size / 2) / stride)
            for size, span in zip(self.size, spans, strict=True)
        )
        return height, width

    def _matrix(self) -> NDArray[np.float64]:
        """From (row, column) in the turned image to the image, both from their centres."""
        radians = math.radians(self.angle)
        return np.array([[math.cos(radians), -math.sin(radians)], [math.sin(radians), math.cos(radians)]])


def averaged_scores(
    image: NDArray[Any], angles: Sequence[float], geometry: Geometry, scores: Callable[[NDArray[Any]], Plane]
) -> Plane:
    """Scores of a net averaged over rotated versions of an image, to be averaged before any softmax.

    Farther than `geometry.margin` from the image's border only interpolation tells a version from the net's answer to a
    scene that is turned; nearer, the mirrored image stands for what is not known, as everywhere.

    Args:
        image: `(height, width, channels)`, any real dtype.
        angles: In degrees; the image itself is not resampled for 0.
        geometry: Sizes of the net.
        scores: From an image of any size to its scores `(height, width, values)`.

    Returns:
        `(height, width, values)` float32.
    """
    total: Plane | None = None
    for angle in angles:
        turn = Turn(angle, (image.shape[0], image.shape[1]), geometry)
        version = scores(image) if angle == 0 else turn.undo(scores(turn.apply(image)))
        total = version.copy() if total is None else np.add(total, version, out=total)
    if total is None:
        raise ValueError("Expected at least one angle. Received none.")
    return np.divide(total, len(angles), out=total)


def _centre(size: tuple[int, int]) -> NDArray[np.float64]:
    return (np.array(size) - 1) / 2


def _resampled(
    values: NDArray[Any], matrix: NDArray[np.float64], offset: NDArray[np.float64], size: tuple[int, int], mode: str
) -> Plane:
    """`(*size, channels)` float32: at each place p what `values` has at `matrix @ p + offset`."""
    result = np.empty((*size, values.shape[-1]), np.float32)
    for channel in range(values.shape[-1]):
        plane = values[..., channel].astype(np.float32)
        result[..., channel] = ndimage.affine_transform(plane, matrix, offset, size, np.float32, order=1, mode=mode)
    return result
