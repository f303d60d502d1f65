"""Dead filters: those whose ReLU is 0 at every pixel, so that nothing passes them and no gradient reaches them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.preprocessing.pixel_normalization import pixels_are_normalized

TILES = 32
"""Validation tiles that are looked at: where images are of several kinds, some filters are for one kind alone."""

MANY = 0.75
"""Share of a level's filters from which on the user is told. Nets of ours that learned well had up to 0.5."""

_PREFIX = "dead_"
_RELU = "_relu"


def columns(depth: int) -> tuple[str, ...]:
    """Columns of log.csv for a net of this depth, from the top down and up again."""
    down, up = ([f"{path}{level}" for level in range(depth)] for path in ("down", "up"))
    return tuple(f"{_PREFIX}{level}" for level in (*down, "bottom", *reversed(up)))


def shares_in(figures: Mapping[str, float]) -> dict[str, float]:
    """Shares of dead filters by level, of a line of the log."""
    return {name.removeprefix(_PREFIX): value for name, value in figures.items() if name.startswith(_PREFIX)}


def advice(figures: Mapping[str, float]) -> str:
    """A sentence on the levels that are nearly dead and on what helps; an empty text if there are none."""
    many = [f"{share:.0%} of {level}" for level, share in shares_in(figures).items() if share >= MANY]
    if not many:
        return ""
    return (
        f"Dead filters, 0 at every pixel of the validation tiles: {', '.join(many)}. They hardly learn any more, and "
        "what these levels see is lost. A new run may do better with optimizer.centralize=true if it is off, with a "
        "smaller optimizer.learning_rate, with optimizer.warmup_steps or with model.normalization=batch."
    )


class DeadFilters:
    """Finds the dead filters of a net.

    Args:
        model: A `UNet`, whose weights are those of the moment of a call.
    """

    def __init__(self, model: keras.Model) -> None:
        relus = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
        self._levels = [layer.name.rpartition(_RELU)[0] for layer in relus]
        self._activations = keras.Model(model.inputs, [layer.output for layer in relus])
        self._alive = tf.function(self._alive_in, reduce_retracing=True)

    def __call__(self, images: Iterable[NDArray[Any]]) -> dict[str, float]:
        """Share of dead filters on all images together, by column of log.csv; of a level's two ReLUs the larger share.

        One dead layer is enough to close a level.

        Args:
            images: `(height, width, channels)` each, of one legal size, normalised if the net normalises images; at
                least one.
        """
        alive = [np.any(layer, axis=0) for layer in zip(*(self._alive(image[None]) for image in images), strict=True)]
        shares: dict[str, float] = defaultdict(float)
        for level, filters in zip(self._levels, alive, strict=True):
            shares[f"{_PREFIX}{level}"] = max(shares[f"{_PREFIX}{level}"], 1.0 - float(filters.mean()))
        return dict(shares)

    def _alive_in(self, image: tf.Tensor) -> list[tf.Tensor]:
        """Which filters of each ReLU are above 0 anywhere, `(filters,)` each."""
        with pixels_are_normalized():
            activations = self._activations(image, training=False)
        return [tf.reduce_any(x > 0, axis=(0, 1, 2)) for x in activations]
