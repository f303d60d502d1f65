"""What a change of gray values does to the figures of a trained net: brightness, contrast, hot pixels, inversion.

Each validation image of a finished run is changed, segmented by the run's model and compared with its truth.

    python benchmarks/pixel_changes.py RUN --metrics iou,seg
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray

from keras_unet.commands.evaluate import judge_model
from keras_unet.metrics.computed_metrics import figures
from keras_unet.training.evaluation import validation_sets

Image = NDArray[np.float32]


def with_hot_pixels(image: Image, count: int) -> Image:
    """Some pixels at a hundred times the image's largest value."""
    changed = image.copy()
    places = np.random.default_rng(0).choice(image.shape[0] * image.shape[1], count, replace=False)
    changed.reshape(-1, image.shape[-1])[places] = 100 * image.max()
    return changed


def bright_to_one_side(image: Image) -> Image:
    """Light falling from three quarters to five quarters of the image's from the left to the right."""
    return image * np.linspace(0.75, 1.25, image.shape[1], dtype=np.float32)[None, :, None]


CHANGES: dict[str, Callable[[Image], Image]] = {
    "none": lambda image: image,
    "half the values": lambda image: image * 0.5,
    "twice the values": lambda image: image * 2.0,
    "100 times the values": lambda image: image * 100.0,
    "1000 added": lambda image: image + 1000.0,
    "one hot pixel": lambda image: with_hot_pixels(image, 1),
    "100 hot pixels": lambda image: with_hot_pixels(image, 100),
    "darker on the left, brighter on the right by a quarter": bright_to_one_side,
    "inverted": lambda image: image.max() + image.min() - image,
}


def figures_of(run: Path, change: Callable[[Image], Image], metrics: list[str]) -> dict[str, float]:
    """Figures of all validation images of a run, each changed first; of those by class the mean alone."""
    sets = [
        (path, replace(data, samples=tuple(replace(one, image=change(np.float32(one.image))) for one in data)))
        for path, data in validation_sets(run)
    ]
    images, scope = judge_model(run, sets, {}, metrics, None, "none")
    found = figures(images, scope, metrics)
    return {name: found[name] for name in (f"mean_{name}" if f"mean_{name}" in found else name for name in metrics)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run")
    parser.add_argument("--metrics", default="iou", help="as for keras-unet evaluate")
    arguments = parser.parse_args()
    for index, (name, change) in enumerate(CHANGES.items()):
        row = figures_of(arguments.run, change, arguments.metrics.split(","))
        if index == 0:
            print("| change | " + " | ".join(row) + " |\n|---|" + "---|" * len(row))
        print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
