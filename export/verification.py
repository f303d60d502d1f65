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
import time
sys.modules["keras"] = sys.modules["tf_keras"] = sys.modules["keras_unet"] = None
import numpy as np
import tensorflow as tf
folder, images, results, signature = sys.argv[1:]
model = tf.saved_model.load(folder)
segment = model.signatures[signature]
with np.load(images) as archive:
    answers = {key: next(iter(segment(images=tf.constant(archive[key])).values())).numpy() for key in archive}
    last = tf.constant(archive[max(archive)])
begun = time.perf_counter()
segment(images=last)
np.savez(results, seconds=time.perf_counter() - begun, **answers)
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
    return _answers_and_seconds(folder, images, signature)[0]


def compared(model: Any, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """An exported model, run without Keras, against `predict`: how far apart, and at what cost.

    The images are noise in the value range of the model: one pixel, an odd size, one row more than a tile, a full tile.

    Args:
        model: The `UNet` that was exported, in the precision it was exported in.
        folder: The version folder.

    Returns:
        `images` (height and width of each), `largest_difference` in probability, `difference_to_float32` (where the
        model computes in another precision) and `seconds_per_tile`, of the last image when it came again.

    Raises:
        OSError: If the exported model does not load or fails.
    """
    from .description import read_description

    description = read_description(folder)
    images = _noise(model, description)
    answers, seconds = _answers_and_seconds(folder, [image[None] for image in images], "serving_default")
    figures = {
        "images": [list(image.shape[:2]) for image in images],
        "largest_difference": _apart(model, description, images, answers),
        "seconds_per_tile": round(seconds, 3),
    }
    if description["precision"] != "float32":
        exact = type(model).from_config({**model.get_config(), "dtype": "float32"})
        exact.set_weights(model.get_weights())
        figures["difference_to_float32"] = _apart(exact, description, images, answers)
    return figures


def largest_difference(
    model: Any, folder: str | os.PathLike[str], images: Sequence[npt.NDArray[Any]] | None = None
) -> float:
    """The largest difference in probability between an exported model, run without Keras, and `predict`.

    Args:
        model: The `UNet` that was exported.
        folder: The version folder.
        images: Images `(height, width, channels)`; None for those of `compared`.

    Raises:
        OSError: If the exported model does not load or fails.
    """
    from .description import read_description

    description = read_description(folder)
    images = _noise(model, description) if images is None else images
    return _apart(model, description, images, segment_without_keras(folder, [image[None] for image in images]))


def _answers_and_seconds(
    folder: str | os.PathLike[str], images: Sequence[npt.NDArray[Any]], signature: str
) -> tuple[list[npt.NDArray[Any]], float]:
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
            return [archive[key] for key in sorted(named)], float(archive["seconds"])


def _apart(
    model: Any, description: dict[str, Any], images: Sequence[npt.NDArray[Any]], answers: list[npt.NDArray[Any]]
) -> float:
    from keras_unet.inference.tiling import predict

    tile = description["tile"]
    expected = [
        predict(
            model,
            image,
            tile=(tile["height"], tile["width"]),
            batch_size=tile["batch_size"],
            averaging=description["averaging"],
        )
        for image in images
    ]
    return max(float(np.abs(a[0] - b).max()) for a, b in zip(answers, expected, strict=True))


def _noise(model: Any, description: dict[str, Any]) -> list[npt.NDArray[Any]]:
    from keras_unet.inference.tile_sizes import tile_context

    random = np.random.default_rng(0)
    low, high = model.value_range
    dtype = description["input"]["dtype"]
    if np.issubdtype(dtype, np.integer):
        low, high = max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max)
    rows, columns = (description["tile"][axis] - tile_context(model.geometry) for axis in ("height", "width"))
    sizes = [(1, 1), (31, 17), (rows + 1, 5), (rows, columns)]
    return [random.uniform(low, high, (*size, model.channels)).astype(dtype) for size in sizes]
