"""What inference makes of a tile: class probabilities or class ids, averaged over flips and turns if so wished."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from keras_unet.inference.rotated_versions import ROTATIONS
from keras_unet.preprocessing.pixel_normalization import pixels_are_normalized

Forward = Callable[[tf.Tensor], tf.Tensor]


class Symmetry(NamedTuple):
    """One of the eight symmetries of the square: transposed, then flipped."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, tiles: tf.Tensor) -> tf.Tensor:
        """`(tiles, height, width, channels)` as seen in this symmetry."""
        tiles = tf.transpose(tiles, [0, 2, 1, 3]) if self.transpose else tiles
        return tf.reverse(tiles, self._axes()) if self._axes() else tiles

    def undo(self, tiles: tf.Tensor) -> tf.Tensor:
        """The inverse of `apply`."""
        tiles = tf.reverse(tiles, self._axes()) if self._axes() else tiles
        return tf.transpose(tiles, [0, 2, 1, 3]) if self.transpose else tiles

    def _axes(self) -> list[int]:
        return [axis for axis, flip in ((1, self.flip_rows), (2, self.flip_columns)) if flip]


_FLIPS = tuple(Symmetry(False, rows, columns) for rows in (False, True) for columns in (False, True))
AVERAGING = {
    "none": (Symmetry(),),
    "flips": _FLIPS,
    "rotations": (Symmetry(), Symmetry(True, True, False), Symmetry(False, True, True), Symmetry(True, False, True)),
    "square": (*_FLIPS, *(symmetry._replace(transpose=True) for symmetry in _FLIPS)),
}
"""Sets of symmetries for test-time averaging by name. `"flips"`: four, as the authors' release takes; `"rotations"`:
quarter turns; `"square"`: all eight."""


def check_averaging(name: str, *, whole_images: bool = False) -> str:
    """Return `name`; a `ValueError` unless it is one of `AVERAGING`, or for whole images in memory of `ROTATIONS`."""
    legal = [*AVERAGING, *(ROTATIONS if whole_images else ())]
    if name not in legal:
        why = (
            ", which turns whole images in memory: neither tiles nor an exported graph can" if name in ROTATIONS else ""
        )
        raise ValueError(f"Expected averaging among {', '.join(legal)}. Received {name!r}{why}.")
    return name


def probabilities(model: Any, averaging: str = "none") -> tuple[Forward, tf.TensorSpec]:
    """A function from tiles to class probabilities, and what it gives per pixel: `(num_classes,)` float32."""
    function, pixel = logits(model, averaging)
    return lambda tiles: from_logits(function(tiles)), pixel


def logits(model: Any, averaging: str = "none") -> tuple[Forward, tf.TensorSpec]:
    """A function from tiles to logits, and what it gives per pixel: `(num_classes,)` float32."""
    return lambda tiles: _logits(model, tiles, averaging), tf.TensorSpec((model.num_classes,), tf.float32)


def from_logits(scores: tf.Tensor) -> tf.Tensor:
    """Probabilities of logits `(…, num_classes)`: their softmax, or the sigmoid of a single one."""
    return tf.sigmoid(scores) if scores.shape[-1] == 1 else tf.nn.softmax(scores)


def classes(model: Any, averaging: str = "none") -> tuple[Forward, tf.TensorSpec]:
    """A function from tiles to class ids, and what it gives per pixel: one uint8. One logit: class 1 is p > 0.5."""

    def forward(tiles: tf.Tensor) -> tf.Tensor:
        scores = _logits(model, tiles, averaging)
        ids = scores[..., 0] > 0.0 if model.num_classes == 1 else tf.argmax(scores, axis=-1, output_type=tf.int32)
        return tf.cast(ids, tf.uint8)

    return forward, tf.TensorSpec((), tf.uint8)


def _logits(model: Any, tiles: tf.Tensor, averaging: str) -> tf.Tensor:
    """Logits, averaged over symmetric versions of the tiles before any softmax.

    Tiles of legal size are pooled alike from either end, so a symmetry moves no tile off the net's grid and averaged
    tiles still equal one averaged pass.
    """
    symmetries = AVERAGING[check_averaging(averaging)]
    total = _one(model, tiles, symmetries[0])
    for symmetry in symmetries[1:]:
        with tf.control_dependencies([total]):  # one after the other, so that memory holds the features of one
            total += _one(model, tf.identity(tiles), symmetry)
    return total if len(symmetries) == 1 else total / len(symmetries)


def _one(model: Any, tiles: tf.Tensor, symmetry: Symmetry) -> tf.Tensor:
    # `call`, not `__call__`: that would hold a model of fixed input size to it, and its layers work at any size.
    with pixels_are_normalized():
        return symmetry.undo(model.call(symmetry.apply(tiles), training=False))
