"""How images are cut into pieces for what segments them: a net in this process, or anything else."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.image_io.decoding import Pixels
from keras_unet.inference import forward, tiling
from keras_unet.inference.tile_sizes import tile_context
from keras_unet.preprocessing.image_statistics import Statistics, normalized

OUTPUTS = ("classes", "probabilities")

_MAX_CLASSES = 256


@dataclass(frozen=True)
class Pieces:
    """How an image is cut into pieces, each segmented from the pixels around it.

    Args:
        size: `(height, width)` in pixels that each piece contributes.
        before: Pixels above and to the left of a piece that it depends on, mirrored where the image ends.
        context: Pixels that it depends on beyond its size, `before` included, along each axis.
        run: From `(height + context, width + context, channels)` to `(height, width, …)`.
    """

    size: tuple[int, int]
    before: int
    context: int
    run: Callable[[Pixels], Pixels]

    def around(self, first: int, last: int, axis: int, pixels: int) -> NDArray[np.int32]:
        """Indices of the pixels that the pieces `first` to `last` - 1 along an axis of so many pixels depend on."""
        size = self.size[axis]
        index = tf.range(first * size - self.before, last * size - self.before + self.context)
        return np.asarray(tiling.mirror(index, pixels))


@dataclass(frozen=True)
class PieceSegmenter:
    """Something that segments images of any size.

    Args:
        channels: Channels of the images.
        pixel: Shape of the result per pixel: `()` for class ids, `(num_classes,)` for probabilities.
        dtype: Of the result.
        settings: What the result depends on, for JSON.
        pieces: From `(height, width)`, dtype and statistics of an image to its pieces.
        normalizes_images: Whether it takes statistics of the image's pixels; else they are None.
    """

    channels: int
    pixel: tuple[int, ...]
    dtype: np.dtype[Any]
    settings: dict[str, Any]
    pieces: Callable[[tuple[int, int], np.dtype[Any], Statistics | None], Pieces]
    normalizes_images: bool = False


def net_segmenter(
    model: Any, tile: int | tuple[int, int] | None, output: str, batch_size: int = 1, averaging: str = "none"
) -> PieceSegmenter:
    """A `UNet` as a segmenter that cuts and batches as `predict` does; arguments as for `predict_file`.

    Raises:
        ValueError: If an argument is illegal.
    """
    if output not in OUTPUTS:
        raise ValueError(f"Expected an output among {', '.join(OUTPUTS)}. Received {output!r}.")
    if output == "classes" and model.num_classes > _MAX_CLASSES:
        raise ValueError(f"Expected at most {_MAX_CLASSES} classes (they are uint8). Received {model.num_classes}.")
    forward.check_averaging(averaging)
    tiler = tiling.tiler_for(model, tile, batch_size)
    function, pixel = (forward.classes if output == "classes" else forward.probabilities)(model, averaging)
    settings = {
        "model": _fingerprint(model),
        "tile": list(tiler.tile),
        "batch_size": tiler.batch_size,
        "output": output,
        "averaging": averaging,
        "tensorflow": tf.__version__,
    }

    def pieces(size: tuple[int, int], dtype: np.dtype[Any], statistics: Statistics | None) -> Pieces:
        kind = dtype if statistics is None else np.float32
        tiles = tf.TensorSpec((None, None, None, model.channels), kind)
        return _net_pieces(tiler, function, size, tiles, statistics)

    dtype = np.dtype(pixel.dtype.as_numpy_dtype)
    return PieceSegmenter(model.channels, tuple(pixel.shape), dtype, settings, pieces, model.normalizes_images)


def _net_pieces(
    tiler: tiling.Tiler,
    function: forward.Forward,
    size: tuple[int, int],
    tiles: tf.TensorSpec,
    statistics: Statistics | None,
) -> Pieces:
    """A piece per call of the net: a batch of neighbouring tiles, as `Tiler` forms them."""
    _, height = tiler.split(size[0], 0)
    columns, width = tiler.split(size[1], 1)
    batches = -(-columns // tiler.batch_size)
    count, context = -(-columns // batches), tile_context(tiler.geometry)

    contribution = tf.function(
        lambda tiles: tiler.contribution(function, tiles, height, width), input_signature=[tiles], autograph=False
    )

    def run(pixels: Pixels) -> Pixels:
        if statistics is not None:
            pixels = normalized(pixels, statistics)
        tiles = np.stack([pixels[:, first : first + width + context] for first in range(0, count * width, width)])
        return np.concatenate(contribution(tf.convert_to_tensor(tiles)).numpy(), axis=1)

    return Pieces((height, count * width), tiler.geometry.margin, context, run)


def _fingerprint(model: Any) -> str:
    """A digest of everything in a model that its predictions depend on."""
    config = {key: value for key, value in model.get_config().items() if key != "name"}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for weight in model.weights:
        digest.update(weight.value.numpy().tobytes())
    return digest.hexdigest()
