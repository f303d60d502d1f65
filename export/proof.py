"""Proof of an exported model: it is loaded where neither Keras nor this library exists, and compared with `predict`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# TensorFlow imports Keras if it is there; None in sys.modules makes every such import fail.
_SEGMENT = """
import sys
sys.modules["keras"] = sys.modules["tf_keras"] = sys.modules["keras_unet"] = None
import numpy as np
import tensorflow as tf
folder, images, results, signature = sys.argv[1:]
model = tf.saved_model.load(folder)
segment = model.signatures[signature]
with np.load(images) as archive:
    answers = {key: next(iter(segment(images=tf.constant(archive[key])).values())).numpy() for key in archive}
np.savez(results, **answers)
"""


def segment_without_keras(
    folder: str | os.PathLike[str], images: Sequence[npt.NDArray[Any]], signature: str = "serving_default"
) -> list[npt.NDArray[Any]]:
    """Run an exported model in a process of its own where Keras and this library cannot be imported.

    Args:
        folder: The version folder.
        images: Batches `(batch, height, width, channels)` in the dtype chosen at export.
        signature: `"serving_default"` or `"classes"`.

    Returns:
        The answer to each batch.

    Raises:
        OSError: If the model does not load or fails; the message ends in what TensorFlow said.
    """
    with tempfile.TemporaryDirectory() as scratch:
        requests, answers = Path(scratch, "images.npz"), Path(scratch, "answers.npz")
        named: dict[str, Any] = {f"{index:06}": batch for index, batch in enumerate(images)}
        np.savez(requests, **named)
        command = [sys.executable, "-c", _SEGMENT, os.path.abspath(folder), str(requests), str(answers), signature]
        process = subprocess.run(command, capture_output=True, text=True, cwd=scratch, check=False)
        if process.returncode != 0:
            said = (process.stderr.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
            raise OSError(f"Expected a model that runs without Keras. Received from {os.fspath(folder)!r}: {said}")
        with np.load(answers) as archive:
            return [archive[key] for key in sorted(archive)]


def largest_difference(
    model: Any, folder: str | os.PathLike[str], images: Sequence[npt.NDArray[Any]] | None = None
) -> float:
    """The largest difference in probability between an exported model, run without Keras, and `predict`.

    Args:
        model: The `UNet` that was exported.
        folder: The version folder.
        images: Images `(height, width, channels)`; None for noise in the value range of the model: one pixel, an odd
            size, and an image of more than one tile.

    Raises:
        OSError: If the exported model does not load or fails.
    """
    from keras_unet.tiling import predict

    from .description import read_description

    description = read_description(folder)
    tile = (description["tile"]["height"], description["tile"]["width"])
    if images is None:
        images = _noise(model, tile, description["input"]["dtype"])
    answers = segment_without_keras(folder, [image[None] for image in images])
    expected = [predict(model, image, tile=tile, batch_size=description["tile"]["batch_size"]) for image in images]
    return max(float(np.abs(a[0] - b).max()) for a, b in zip(answers, expected, strict=True))


def _noise(model: Any, tile: tuple[int, int], dtype: str) -> list[npt.NDArray[Any]]:
    from keras_unet.tile_sizes import tile_context

    random = np.random.default_rng(0)
    low, high = model.value_range
    if np.issubdtype(dtype, np.integer):
        low, high = max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max)
    sizes = [(1, 1), (31, 17), (tile[0] - tile_context(model.geometry) + 1, 5)]  # the last: one row past a tile
    return [random.uniform(low, high, (rows, columns, model.channels)).astype(dtype) for rows, columns in sizes]
