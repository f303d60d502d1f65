"""How objects are best found, chosen on the validation images of a finished run by the mean of SEG and DET."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_unet import challenge
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.instances.region_merging import merged_map
from keras_unet.metrics.computed_metrics import figures
from keras_unet.metrics.evaluated_image import JudgedImage, Scope
from keras_unet.utils.atomic_files import write_text

from .config import ConfigError
from .run_folder import RunFolder, fold_folders

# Of equally good thresholds the one nearest to one half is taken.
THRESHOLDS = tuple(sorted((step / 20 for step in range(1, 20)), key=lambda value: abs(value - 0.5)))
_PAIRS = tuple(combinations((step / 10 for step in range(1, 10)), 2))  # lower and upper threshold
_DEPTHS = (1.0, 2.0, 4.0, 8.0)  # pixels
_GAPS = (0, 1, 4)  # pixels, besides the default
_PARTS_OF_AN_OBJECT = (1 / 32, 1 / 16, 1 / 8, 1 / 4)
MERGE_THRESHOLDS = tuple(step / 20 for step in range(6, 20))
_DIGITS = 4  # of the score; smaller differences are no reason to choose


@dataclass(frozen=True)
class Tuned:
    """What was chosen.

    Args:
        settings: How objects are found best.
        seg: SEG of the images with these settings.
        det: DET of the images with these settings.
        components_threshold: The best single threshold for connected components.
    """

    settings: InstanceSettings
    seg: float
    det: float
    components_threshold: float


def tune(images: Sequence[JudgedImage]) -> Tuned:
    """Choose how objects are found by (SEG + DET) / 2: SEG measures their outlines, DET false and missing ones.

    One after the other: threshold and components or a watershed of some depth; an upper threshold for seeds, for
    components and for the best depth; the width of gaps over which labels are expanded; the smallest size, a part of
    the median object. Of settings with one score (to four digits) the simplest is taken.

    Args:
        images: Of two classes, with their objects.

    Raises:
        ValueError: If there are more classes, or no object in any image.
    """
    trials = _Trials(images)
    single = [InstanceSettings(value) for value in THRESHOLDS]
    split = [InstanceSettings(value, 0, True, depth) for depth in _DEPTHS for value in THRESHOLDS]
    components, best = trials.best(single), trials.best([*single, *split])
    methods = dict.fromkeys([components, trials.best(split)])
    best = trials.best([best, *(_flooded(method, pair) for method in methods for pair in _PAIRS)])
    best = trials.best([best, *(replace(best, expand=gap) for gap in _GAPS)])
    sizes = sorted({round(part * trials.median_size) for part in _PARTS_OF_AN_OBJECT})
    best = trials.best([best, *(replace(best, min_size=size) for size in sizes)])
    return Tuned(best, *trials.scores(best), components.threshold)


def scores(images: Sequence[JudgedImage], settings: InstanceSettings) -> tuple[float, float]:
    """SEG and DET of images with these settings; arguments and errors as `tune`."""
    return _Trials(images).scores(settings)


class _Trials:
    """Scores of settings on images, each taken once."""

    def __init__(self, images: Sequence[JudgedImage]) -> None:
        self._cells = [image.cell for image in images if image.cell is not None]
        if len(self._cells) != len(images):
            raise ValueError(
                "Expected a run of two classes, or the class whose objects are meant (--class). Received more classes."
            )
        self._truths = [image.objects for image in images]
        sizes = np.concatenate([np.unique(ids[ids > 0], return_counts=True)[1] for ids in self._truths])
        if sizes.size == 0:
            raise ValueError("Expected validation images with at least one object. Received background alone.")
        self.median_size = float(np.median(sizes))
        self._known: dict[InstanceSettings, tuple[float, float]] = {}

    def scores(self, settings: InstanceSettings) -> tuple[float, float]:
        """SEG and DET."""
        if settings not in self._known:
            found = [settings.find(cell) for cell in self._cells]
            pair = challenge.seg_measure(self._truths, found), challenge.det_measure(self._truths, found)
            self._known[settings] = float(pair[0]), float(pair[1])
        return self._known[settings]

    def best(self, trials: Iterable[InstanceSettings]) -> InstanceSettings:
        """The first of those with the highest score."""
        bar = tqdm(list(trials), desc="tuning", disable=None, leave=False)
        best: InstanceSettings = max(bar, key=lambda trial: round(sum(self.scores(trial)) / 2, _DIGITS))
        return best


def _flooded(settings: InstanceSettings, pair: tuple[float, float]) -> InstanceSettings:
    return replace(settings, threshold=pair[0], seed_threshold=pair[1])


@dataclass(frozen=True)
class Merging:
    """How regions of membrane images are best merged.

    Args:
        merge_threshold: Of `keras_unet.instances.merge_regions`; None if the probabilities alone are better.
        rand_error: Of the maps with merged regions.
        rand_error_before: Of the probabilities alone.
    """

    merge_threshold: float | None
    rand_error: float
    rand_error_before: float


def tune_merging(images: Sequence[JudgedImage], scope: Scope) -> Merging:
    """Choose the merge threshold by the Rand error of the ISBI 2012 challenge over all images.

    Args:
        images: Of two classes, 1 the inside of cells.
        scope: What they are judged by.

    Raises:
        ValueError: If there are more classes, or no cell in any image.
    """
    before = figures(images, scope, ["rand_error"])["rand_error"]
    errors: dict[float | None, float] = {None: before}
    for threshold in tqdm(MERGE_THRESHOLDS, desc="tuning", disable=None, leave=False):
        merged = [replace(image, cell=merged_map(cell, threshold)) for image, cell in _cells_of(images)]
        errors[threshold] = figures(merged, scope, ["rand_error"])["rand_error"]
    best = min(errors, key=errors.__getitem__)
    return Merging(best, errors[best], before)


def save_merging(run: RunFolder, merging: Merging, averaging: str = "none") -> None:
    """Write the merge threshold into the report of a run, where `predict --format isbi` finds it; errors as `save`."""
    report = {**finished_report(run), "merging": {**asdict(merging), "averaging": averaging}}
    write_text(run.report, json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def _cells_of(images: Sequence[JudgedImage]) -> list[tuple[JudgedImage, Any]]:
    return [(image, image.cell) for image in images if image.cell is not None]


def save(run: RunFolder, tuned: Tuned, averaging: str = "none", of_class: int | None = None) -> None:
    """Write the choice into the report of a run, where predicting and exporting find it.

    Args:
        run: A finished one.
        tuned: What was chosen.
        averaging: With which test-time averaging.
        of_class: The class whose objects are meant, for which it is kept apart; None for the foreground.

    Raises:
        ConfigError: If the run is unfinished.
    """
    chosen = {**asdict(tuned.settings), "seg": tuned.seg, "det": tuned.det, "averaging": averaging}
    chosen["components_threshold"] = tuned.components_threshold
    report = finished_report(run)
    if of_class is None:
        report["tuned"] = chosen
    else:
        report["tuned_classes"] = {**report.get("tuned_classes", {}), str(of_class): chosen}
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
