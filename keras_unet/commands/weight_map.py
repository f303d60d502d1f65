"""`keras-unet weight-map`: weight maps of label images, and a picture of each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.commands.inputs import image_files, page_name
from keras_unet.instances.components import class_components, connected_components
from keras_unet.visualization import overlays


def weight_map_files(paths: Sequence[Path], out: Path, *, w0: float, sigma: float, components: bool) -> Iterator[Path]:
    """Weight maps of label images: `cells_weights.tif` (float32) and the picture `cells_weights.png`.

    Args:
        paths: Label files and folders of them.
        out: Folder for the results, made if need be.
        w0: Height of the border term of equation 2.
        sigma: Its width in pixels.
        components: Whether labels are masks or classes whose connected components are the objects.

    Yields:
        Paths of the files written.

    Raises:
        ValueError: If a file holds no labels, or only one object although `components` is false.
    """
    from keras_unet.losses.weight_maps import weight_map

    taken = set[str]()
    for file in image_files(paths, out):
        pages = image_io.read_label_stack(file)
        for number, page in enumerate(pages):
            labels = class_components(page) if components else page
            if not components and _looks_like_a_mask(page):
                raise ValueError(
                    f"{file}: expected instance ids. Received the one value {page.max()} in several separate objects: "
                    "use --components for masks."
                )
            weights = weight_map(labels, w0=w0, sigma=sigma)
            stem = page_name(file, number, len(pages), taken)
            tiff, picture = out / f"{stem}_weights.tif", out / f"{stem}_weights.png"
            image_io.write_probabilities(tiff, weights[..., None])
            panels = [overlays.coloured(labels), overlays.heat(weights)]
            captions = ["objects", f"weights {weights.min():.2f} to {weights.max():.2f}"]
            image_io.write_image(picture, overlays.side_by_side(panels, captions))
            yield from (tiff, picture)


def _looks_like_a_mask(labels: NDArray[Any]) -> bool:
    """Whether one value marks several objects, so that it cannot be an instance id."""
    values = np.unique(labels[labels > 0])
    return len(values) == 1 and int(connected_components(labels).max()) > 1
