"""`keras-unet predict`: images segmented by a model on disk, results written beside each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_unet import image_io
from keras_unet.commands.failed_files import Failures
from keras_unet.commands.inputs import image_files, read_pages
from keras_unet.commands.open_models import Segmenter
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.visualization import overlays


def predict_files(
    segment: Segmenter,
    paths: Sequence[Path],
    out: Path,
    settings: InstanceSettings | None = None,
    of_class: int | None = None,
) -> Iterator[Path]:
    """Segment image files, one after the other; with `settings` the number of objects of each is printed.

    For an image `cells.tif` the folder gets `cells_labels.png` (most probable class), `cells_probabilities.tif`,
    `cells_overlay.png` and, with `settings`, `cells_instances.tif`. Pages of a stack are numbered from 0. A file whose
    pixels are far from those that the model was trained on is told on stderr, and so is one that fails: the others
    follow.

    Args:
        segment: From `open_model`.
        paths: Files and folders.
        out: Folder for the results, made if need be.
        settings: How to find objects; None for classes alone.
        of_class: Class of the objects; None for anything but background.

    Yields:
        Paths of the files written.

    Raises:
        ValueError: At the end, if an image could not be read or did not fit the model; of one file at once, naming it.
    """
    files, taken = image_files(paths, out), set[str]()
    failures = Failures(len(files))
    for file in tqdm(files, unit="image", desc="segmenting", disable=None):
        with failures.told(file):
            for stem, page in read_pages(file, segment.value_range, taken):
                try:
                    probabilities = segment(page)
                except ValueError as error:
                    raise ValueError(f"{file}: {error}") from error
                labels, planes = most_probable(probabilities), {"probabilities.tif": probabilities}
                cell = foreground(probabilities, of_class)
                yield from write_results(out / stem, page, labels, cell, planes, settings)
    failures.check()


def foreground(probabilities: NDArray[np.float32], of_class: int | None = None) -> NDArray[np.float32]:
    """Probability of a class, or else of anything but background: `(height, width)` from `(height, width, classes)`."""
    if probabilities.shape[-1] == 1:
        return np.asarray(probabilities[..., 0])
    if of_class is not None:
        return np.asarray(probabilities[..., of_class])
    return np.asarray(np.clip(1.0 - probabilities[..., 0], 0.0, 1.0))


def most_probable(probabilities: NDArray[np.float32]) -> NDArray[np.int32]:
    """Class per pixel: `(height, width)` from `(height, width, classes)`; of one class, p > 0.5."""
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] > 0.5).astype(np.int32)
    return np.asarray(probabilities.argmax(axis=-1), np.int32)


def write_results(
    stem: Path,
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    probability: NDArray[np.float32],
    planes: Mapping[str, NDArray[np.float32]],
    settings: InstanceSettings | None,
) -> Iterator[Path]:
    """Write what was found in an image beside each other; with `settings` the number of objects is printed.

    Args:
        stem: Folder and beginning of the names of the files.
        image: `(height, width, channels)`, shown under the overlay.
        labels: `(height, width)`, the most probable class of each pixel.
        probability: `(height, width)`, the probability of anything but background.
        planes: Probabilities `(height, width, pages)` to write, by the end of the file's name.
        settings: How to tell objects apart; None for classes alone.

    Yields:
        Paths of the files written.
    """
    shown = labels
    if settings is not None:
        shown = settings.find(probability)
        print(f"{stem.name}: {shown.max()} objects")
    results: dict[str, Callable[[Path], None]] = {
        "labels.png": lambda path: image_io.write_labels(path, labels),
        **{name: partial(image_io.write_probabilities, probabilities=plane) for name, plane in planes.items()},
        "overlay.png": lambda path: image_io.write_image(path, overlays.overlay(image, shown)),
    }
    if settings is not None:
        results["instances.tif"] = lambda path: image_io.write_labels(path, shown)
    for name, write in results.items():
        path = stem.with_name(f"{stem.name}_{name}")
        write(path)
        yield path
