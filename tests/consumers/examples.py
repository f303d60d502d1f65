"""Tiny nets of either padding, exported, and images of awkward sizes: what every consumer is asked."""

import functools
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from helpers.nets import exported, new_net
from numpy.typing import NDArray
from PIL import Image

from keras_unet.inference.tile_sizes import tile_context
from keras_unet.inference.tiling import predict

TOLERANCE = 1e-5  # of a probability
CORNER_CASES = [(1, 1), (1, 50), (37, 1), (5, 7), (2, 3), (61, 43), (53, 17)]  # one pixel, lines, primes
RANDOM_SIZES = np.random.default_rng(0).integers(1, 48, (25, 2)).tolist()
NETS = {
    "valid": {"padding": "valid", "channels": 3, "num_classes": 3, "dtype": "uint8"},
    "same": {"padding": "same", "depth": 1, "channels": 1, "num_classes": 2, "dtype": "float32"},
}


@dataclass(frozen=True)
class Example:
    """An exported net, images as batches of one, and what `predict` makes of them.

    Args:
        folder: The version folder.
        channels: Channels of the images.
        dtype: Dtype of the images.
        images: Each `(1, height, width, channels)`.
        probabilities: Each `(1, height, width, num_classes)` float32.
    """

    folder: Path
    channels: int
    dtype: str
    images: list[NDArray[Any]]
    probabilities: list[NDArray[np.float32]]

    def first(self, count: int | None) -> "Example":
        """The same with so many of the images, None for all."""
        return replace(self, images=self.images[:count], probabilities=self.probabilities[:count])

    def check(self, output: str, answers: list[NDArray[Any]]) -> None:
        """Assert that `answers` are the "probabilities", or the likeliest "classes" where rounding cannot turn them."""
        for answer, expected in zip(answers, self.probabilities, strict=True):
            if output == "probabilities":
                assert answer.dtype == np.float32
                np.testing.assert_allclose(answer, expected, rtol=0, atol=TOLERANCE)
            else:
                _check_classes(answer, expected)

    def check_label_files(self, files: list[bytes]) -> None:
        """Assert that PNG files hold the likeliest classes."""
        self.check("classes", [np.asarray(Image.open(io.BytesIO(file)))[None] for file in files])

    def files(self) -> list[bytes]:
        """The images as PNG files of 8 bits."""
        return [_png(image[0].squeeze(-1) if self.channels == 1 else image[0]) for image in self.images]


@functools.cache
def example(name: str) -> Example:
    """The net of that name in `NETS` and its export; most of the images take several of its tiles."""
    arguments = dict(NETS[name])
    dtype = arguments.pop("dtype")
    model = new_net(value_range=(0, 255), **arguments)
    for weight in model.weights:
        weight.assign(weight + keras.random.normal(weight.shape, stddev=0.1))  # else dead filters make classes tie
    tile = tile_context(model.geometry) + 16
    folder = exported(model, name, tile=tile, input_dtype=dtype)
    random = np.random.default_rng(1)
    sizes = CORNER_CASES + RANDOM_SIZES
    images = [random.integers(0, 256, (1, *size, model.channels)).astype(dtype) for size in sizes]
    return Example(folder, model.channels, dtype, images, [predict(model, image, tile=tile) for image in images])


def wrong_images(channels: int, dtype: str) -> dict[str, NDArray[Any]]:
    """Images that a net of so many channels refuses, by the shape that its sentence shows."""
    shapes = [(), (5, 6), (5, 6, channels), (1, 2, 5, 6, channels), (1, 5, 6, channels + 1), (2, 0, 6, channels)]
    return {", ".join(map(str, shape)): np.zeros(shape, dtype) for shape in shapes}


def _check_classes(answer: NDArray[Any], expected: NDArray[np.float32]) -> None:
    assert answer.dtype == np.uint8
    assert answer.shape == expected.shape[:-1]
    runner_up, best = np.moveaxis(np.sort(expected, axis=-1)[..., -2:], -1, 0)
    clear = best - runner_up > 2 * TOLERANCE
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(answer[clear], expected.argmax(axis=-1)[clear])


def _png(pixels: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
