"""`keras-unet segment`: image files segmented by a server that runs an exported U-Net. Loads no TensorFlow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_unet.commands.failed_files import Failures
from keras_unet.commands.inputs import image_files, read_pages
from keras_unet.commands.predict import write_results
from keras_unet.commands.value_range import range_of_export
from keras_unet.export.client import Client, Segmentation
from keras_unet.export.client.parallel import ordered_map
from keras_unet.instances.instance_settings import InstanceSettings


class _Page(NamedTuple):
    file: Path
    stem: str
    image: NDArray[Any]


def segment_files(
    client: Client, paths: Sequence[Path], out: Path, settings: InstanceSettings | None = None
) -> Iterator[Path]:
    """Segment image files on a server, several at a time; with `settings` the number of objects of each is printed.

    For an image `cells.tif` the folder gets `cells_labels.png` (most probable class), `cells_foreground.tif`
    (probability of anything but background), `cells_overlay.png` and, with `settings`, `cells_instances.tif`. Pages of
    a stack are numbered from 0. A file whose pixels are far from those that the model was trained on is told on stderr,
    and so is one that fails: the others follow.

    Args:
        client: Knows the server.
        paths: Files and folders.
        out: Folder for the results, made if need be.
        settings: How to tell objects apart; None for classes alone.

    Yields:
        Paths of the files written.

    Raises:
        ValueError: At the end, if an image could not be read or did not fit the model; of one file at once, naming it.
        ServerError: If the server cannot be reached, has no such model or fails.
    """
    files = image_files(paths, out)
    failures = Failures(len(files))

    def segment(page: _Page) -> tuple[_Page, Segmentation | ValueError]:
        try:
            return page, client.segment(page.image)
        except ValueError as error:
            return page, ValueError(f"{page.file}: {error}")

    for page, result in ordered_map(segment, _pages(files, client, failures), client.concurrency):
        with failures.told(page.file):
            if isinstance(result, ValueError):
                raise result
            labels, planes = result.classes.astype(np.int32), {"foreground.tif": result.foreground[..., None]}
            yield from write_results(out / page.stem, page.image, labels, result.foreground, planes, settings)
    failures.check()


def validated_instances(client: Client, **given: Any) -> InstanceSettings:
    """How the served model's run told objects apart best; what is given and not None takes precedence."""
    return InstanceSettings.validated(client.description()["metadata"], **given)


def _pages(files: Sequence[Path], client: Client, failures: Failures) -> Iterator[_Page]:
    taken, value_range = set[str](), range_of_export(client.description())
    for file in tqdm(files, unit="image", desc="segmenting", disable=None):
        with failures.told(file):
            for stem, image in read_pages(file, value_range, taken):
                yield _Page(file, stem, image)
