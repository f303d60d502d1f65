"""How objects are best told apart, chosen on the validation images of a finished run by SEG."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_unet import challenge
from keras_unet.figures import JudgedImage
from keras_unet.files import write_text
from keras_unet.instance_settings import InstanceSettings

from .config import ConfigError
from .run_folder import RunFolder, fold_folders

# Of equally good thresholds the one nearest to one half is taken.
THRESHOLDS = tuple(sorted((step / 20 for step in range(1, 20)), key=lambda value: abs(value - 0.5)))
_DEPTHS = (1.0, 2.0, 4.0, 8.0)  # pixels
_PARTS_OF_AN_OBJECT = (1 / 32, 1 / 16, 1 / 8, 1 / 4)
_DIGITS = 4  # of SEG; smaller differences are no reason to choose


@dataclass(frozen=True)
class Tuned:
    """What was chosen.

    Args:
        settings: How objects are told apart best.
        seg: SEG of the images with these settings.
        components_threshold: The best threshold for connected components, which is all that an exported graph has.
    """

    settings: InstanceSettings
    seg: float
    components_threshold: float


def tune(images: Sequence[JudgedImage]) -> Tuned:
    """Choose the threshold for components and for watersheds of some depths, the best of them, then the smallest size.

    SEG decides. It does not see false objects, so of settings with one SEG (to four digits) that with the fewest
    objects without a counterpart in the truth is taken, and of those the simplest. Sizes are parts of the median
    object.

    Args:
        images: Of two classes, with their objects.

    Raises:
        ValueError: If there are more classes, or no object in any image.
    """
    cells = [image.cell for image in images if image.cell is not None]
    if len(cells) != len(images):
        raise ValueError("Expected a run of two classes, whose foreground are the objects. Received more classes.")
    truths = [image.objects for image in images]
    sizes = np.concatenate([np.unique(ids[ids > 0], return_counts=True)[1] for ids in truths])
    if sizes.size == 0:
        raise ValueError("Expected validation images with at least one object. Received background alone.")
    trials = [InstanceSettings(value) for value in THRESHOLDS]
    trials += [InstanceSettings(value, 0, True, depth) for depth in _DEPTHS for value in THRESHOLDS]
    scores = {trial: _score(trial, truths, cells) for trial in tqdm(trials, desc="tuning", disable=None)}
    components = max(trials[: len(THRESHOLDS)], key=scores.__getitem__)
    best = max(trials, key=scores.__getitem__)
    smallest = sorted({round(part * float(np.median(sizes))) for part in _PARTS_OF_AN_OBJECT})
    scores |= {trial: _score(trial, truths, cells) for trial in (replace(best, min_size=size) for size in smallest)}
    best = max((trial for trial in scores if replace(trial, min_size=0) == best), key=scores.__getitem__)
    return Tuned(best, scores[best][0], components.threshold)


def save(run: RunFolder, tuned: Tuned, averaging: str = "none") -> None:
    """Write the choice into the report of a run, where predicting and exporting find it.

    Args:
        run: A finished one.
        tuned: What was chosen.
        averaging: With which test-time averaging.

    Raises:
        ConfigError: If the run is unfinished.
    """
    chosen = {**asdict(tuned.settings), "seg": tuned.seg, "components_threshold": tuned.components_threshold}
    chosen["averaging"] = averaging
    report = {**finished_report(run), "tuned": chosen}
    write_text(run.report, json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def finished_report(run: RunFolder) -> dict[str, Any]:
    """The report of a finished run.

    Raises:
        ConfigError: If this is no run folder, or the run is unfinished.
    """
    if not fold_folders(run.path):
        run.read_config()
    report = run.read_report()
    if report is None:
        raise ConfigError(
            f"Expected a finished run with its report.json. Received {str(run.path)!r}, an unfinished one."
        )
    return report


def _score(
    settings: InstanceSettings, truths: Sequence[NDArray[np.int32]], cells: Sequence[NDArray[np.float32]]
) -> tuple[float, int]:
    """SEG, and less for more objects without a counterpart."""
    found = [settings.find(cell) for cell in cells]
    extras = sum(challenge.detection_errors(*pair).extras for pair in zip(truths, found, strict=True))
    return round(float(challenge.seg_measure(truths, found)), _DIGITS), -extras
