"""`keras-unet demo`: the whole path on generated cells, from training to an exported model that counts them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keras_unet import export, image_io, training
from keras_unet.commands.open_models import export_details, open_model, validated_instances
from keras_unet.commands.predict import foreground
from keras_unet.datasets.base import Sample
from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.instances.components import connected_components
from keras_unet.instances.matching import separated_pairs
from keras_unet.models.unet import load_model
from keras_unet.training.run_folder import RunFolder
from keras_unet.visualization import overlays
from keras_unet.visualization.result_panels import numbered_alike

PICTURE = "overlay.png"
UNSEEN_SIZE = 768  # pixels; the training images have 384
_UNSEEN_SEED = 1_000_000  # far from every training seed a person would type
_MIN_SIZE = 60  # pixels, a fortieth of a typical cell

NEXT_STEPS = """\
Now with your own images, say in my/images with one label image of the same name each in my/labels:

  keras-unet train folder --data my --out run
  keras-unet predict run new-images --out results --instances --min-size 60
  keras-unet export run models/cells
"""


def run_demo(out: Path, *, seed: int = 0, steps: int | None = None, overwrite: bool = False) -> dict[str, float]:
    """Train on touching cells, export, segment a larger unseen image with the exported model, count its cells.

    Args:
        out: Folder for the run, the exported model, the unseen image and the pictures of the result.
        seed: Of the cells, the initial weights and the augmentation.
        steps: Training steps; the preset's by default.
        overwrite: Whether to replace an earlier demo; the exported model becomes its next version.

    Returns:
        `cells` (counted), `cells_in_truth`, and the shares of touching pairs told apart: `separated` by the net and
        `separated_by_threshold` by a threshold on the raw image.

    Raises:
        ValueError: If `out` holds a finished demo, or something else.
    """
    overrides = [f"training.seed={seed}", f"data.options.seed={seed}"]
    if steps is not None:
        overrides += [f"training.steps={steps}", f"optimizer.warmup_steps={min(50, steps // 10)}"]
    _train(training.load_config("synthetic", overrides), out, overwrite)
    version = export.save(load_model(out / "run"), out / "models" / "cells", **export_details(out / "run"))
    print(f"\nSegmenting an unseen image of {UNSEEN_SIZE} x {UNSEEN_SIZE} pixels with {version}")
    unseen = synthetic(1, UNSEEN_SIZE, seed=_UNSEEN_SEED + seed)[0]
    probability = foreground(open_model(version)(unseen.image))
    found = validated_instances(version, min_size=_MIN_SIZE).find(probability)
    figures = _figures(unseen, found)
    _write(out, unseen, probability, found)
    _tell(out, version, figures)
    return figures


def _train(config: training.Config, out: Path, overwrite: bool) -> None:
    """Train in `out`/run; a demo that was stopped after its training goes on from there."""
    run = RunFolder(out / "run")
    if out.is_dir() and any(out.iterdir()) and not run.is_ours():
        raise ValueError(
            f"Expected an empty folder or an earlier demo. {str(out)!r} holds other files; choose another."
        )
    stopped = run.is_ours() and run.read_report() is not None and not (out / PICTURE).exists()
    if not overwrite and stopped and run.read_config() == config:
        print(f"The training in {run.path} is finished.")
        return
    training.run(config, run.path, overwrite=overwrite)


def threshold_and_components(image: NDArray[Any]) -> NDArray[np.int32]:
    """What there was before: Otsu's threshold on the raw image, and its connected components."""
    _, mask = cv2.threshold(image[..., 0], 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return connected_components(mask)


def _figures(unseen: Sample, found: NDArray[np.int32]) -> dict[str, float]:
    separated, pairs = separated_pairs(unseen.labels, found)
    by_threshold, _ = separated_pairs(unseen.labels, threshold_and_components(unseen.image))
    return {
        "cells": float(found.max()),
        "cells_in_truth": float(len(np.unique(unseen.labels)) - 1),
        "touching_pairs": float(pairs),
        "separated": separated / pairs,
        "separated_by_threshold": by_threshold / pairs,
    }


def _write(out: Path, unseen: Sample, probability: NDArray[np.float32], found: NDArray[np.int32]) -> None:
    image_io.write_image(out / "unseen.png", unseen.image)
    image_io.write_labels(out / "instances.tif", found)
    panels = [
        overlays.grey_or_colour(unseen.image),
        overlays.overlay(unseen.image, unseen.labels),
        overlays.heat(probability, 0.0, 1.0),
        overlays.overlay(unseen.image, numbered_alike(unseen.labels, found)),
    ]
    cells = f"instances: {found.max()} cells"
    captions = ["image (never seen in training)", "truth", "probability of a cell", cells]
    image_io.write_image(out / PICTURE, overlays.side_by_side(panels, captions))


def _tell(out: Path, version: Path, figures: dict[str, float]) -> None:
    print(
        f"""
Counted {figures["cells"]:.0f} cells of {_MIN_SIZE} pixels or more; the truth has {figures["cells_in_truth"]:.0f}.
Of {figures["touching_pairs"]:.0f} pairs of touching cells, {figures["separated"]:.1%} were told apart
(threshold and connected components on the raw image: {figures["separated_by_threshold"]:.1%}).

Made in {out}:
  overlay.png      image | truth | probability | instances: look at this first
  instances.tif    a number per cell, unseen.png the image
  run/             weights, configuration, curves (tensorboard --logdir {out / "run"})
  models/cells/{version.name}/  for TensorFlow Serving

{NEXT_STEPS}"""
    )
