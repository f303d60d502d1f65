"""`keras-unet evaluate` and `tune`: figures of a model or of results on disk, in a table and in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_unet.commands.predict import foreground
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics.computed_metrics import chosen_metrics, figures, figures_by_image
from keras_unet.metrics.evaluated_image import JudgedImage, Scope
from keras_unet.metrics.tables import format_table, write_csv, write_json

if TYPE_CHECKING:
    from keras_unet.commands.open_models import Segmenter
    from keras_unet.datasets import LabelledImages

_SHOWN = 3


def judge_model(
    path: Path,
    sets: Sequence[tuple[Path, LabelledImages]],
    objects: Mapping[str, Any],
    metrics: Sequence[str] | None,
    tile: int | None,
    averaging: str,
    of_class: int | None = None,
) -> tuple[list[JudgedImage], Scope]:
    """The result of whatever model `path` holds for each image beside its truth.

    Args:
        path: As for `open_model`; its settings say how objects are found.
        sets: Labelled images, each with the model that predicts them: `path`, or of folds the one without them.
        objects: Arguments of `InstanceSettings`; those that are None are as validated or tuned.
        metrics: What will be asked of the images.
        tile: As for `open_model`.
        averaging: As for `open_model`.
        of_class: The class to judge against all others together; None for all classes.

    Raises:
        FileNotFoundError: If there is no model.
        ValueError: If it or a metric does not fit the data.
    """
    from keras_unet.commands.open_models import open_model, validated_instances
    from keras_unet.training.evaluation import judge_all, one_class, scope_of

    nets: list[Any] = [open_model(model, tile, averaging) for model, _ in sets]
    if of_class is not None:
        sets = [(model, one_class(data, of_class)) for model, data in sets]
        nets = [partial(_of_class, net, of_class) for net in nets]
    scope = scope_of(sets[0][1], validated_instances(path, of_class, **objects))
    if of_class is not None:
        scope = replace(scope, kind="instances")  # the components of the class
    chosen_metrics(metrics, scope)  # refused before a net is run
    return [image for net, (_, data) in zip(nets, sets, strict=True) for image in judge_all(net, data)], scope


def _of_class(net: Segmenter, number: int, image: NDArray[Any]) -> NDArray[np.float32]:
    """Probability of one class, `(height, width, 1)`."""
    return foreground(net(image), number)[..., None]


def remarks(path: Path, data: LabelledImages) -> list[str]:
    """What to know before figures on these data are believed: how many images the run in `path` was trained on."""
    from keras_unet.training.provenance import trained_on
    from keras_unet.training.run_folder import RunFolder, fold_folders

    runs = fold_folders(path) or [RunFolder(path)]
    known = list(dict.fromkeys(name for run in runs for name in trained_on(run, data)))
    if not known:
        return []
    listed = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    return [f"{len(known)} of these {len(data)} images were trained on: expect less on others. They are {listed}."]


def judge_results(
    results: Path, truth: Path, objects: Mapping[str, Any], **reading: Any
) -> tuple[list[JudgedImage], Scope]:
    """Results on disk beside their truth, see `compare`; how files were understood is printed."""
    from keras_unet.commands.comparison import compare

    images, scope, notes = compare(results, truth, InstanceSettings().but(**objects), **reading)
    print("\n".join(notes))
    return images, scope


def report(
    images: Sequence[JudgedImage],
    scope: Scope,
    metrics: Sequence[str] | None,
    csv_file: Path | None = None,
    json_file: Path | None = None,
) -> str:
    """Figures as a table for the terminal; of each image and of all of them as files where these are asked for.

    Raises:
        ValueError: If a metric does not fit the data or is not defined for them.
        OSError: If a file cannot be written.
    """
    whole = figures(images, scope, metrics)
    wanted = {write_csv: csv_file, write_json: json_file}
    if any(wanted.values()):
        by_image = figures_by_image(images, scope, metrics)
        for write, path in wanted.items():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, whole, by_image)
    return format_table(whole)


def tune_run(path: Path, tile: int | None, averaging: str, of_class: int | None = None) -> str:
    """Choose how objects are found on a run's validation images, and write it into the run's report.

    Of a run on EM slices (`isbi2012`) the merge threshold is chosen instead, by the Rand error.

    Args:
        path: Folder of a finished run, or of folds.
        tile: As for `open_model`.
        averaging: As for `open_model`.
        of_class: The class whose objects are meant; None for the foreground of two classes.

    Returns:
        What was chosen, in sentences.

    Raises:
        ConfigError: If this is no finished run, or it validated on nothing.
        ValueError: If it has more than two classes or no object to validate on.
    """
    from keras_unet.commands.open_models import validated_instances
    from keras_unet.training import tuning
    from keras_unet.training.evaluation import unlearnt, validation_sets
    from keras_unet.training.run_folder import RunFolder, fold_folders

    run = RunFolder(path)
    tuning.finished_report(run)
    first, *_ = fold_folders(path) or [run]
    if of_class is None and first.read_config().data.name == "isbi2012":
        return _tune_merging(path, tile, averaging)
    before = validated_instances(path, of_class)
    images, scope = judge_model(path, validation_sets(path), {}, None, tile, averaging, of_class)
    tuned = tuning.tune(images)
    seg_before, det_before = tuning.scores(images, before)
    tuning.save(run, tuned, averaging, of_class)
    averaged = "" if averaging == "none" else f" Give them --averaging {averaging} too, with which it was chosen."
    return "\n".join(
        [
            f"before  {before.in_words()}: SEG {seg_before:.4f}, DET {det_before:.4f}",
            f"tuned   {tuned.settings.in_words()}: SEG {tuned.seg:.4f}, DET {tuned.det:.4f}",
            f"Chosen on these {len(images)} validation images: on others expect less.",
            *unlearnt(figures(images, scope, ["iou"])),
            f"Written to {run.report}; predict --instances, evaluate and export take it from there.{averaged}",
        ]
    )


def _tune_merging(path: Path, tile: int | None, averaging: str) -> str:
    """Choose the merge threshold of a run on membranes; arguments, answer and errors as `tune_run`."""
    from keras_unet.training import tuning
    from keras_unet.training.evaluation import unlearnt, validation_sets
    from keras_unet.training.run_folder import RunFolder

    run = RunFolder(path)
    images, scope = judge_model(path, validation_sets(path), {}, ["rand_error"], tile, averaging)
    merging = tuning.tune_merging(images, scope)
    tuning.save_merging(run, merging, averaging)
    chosen = merging.merge_threshold
    method = "no regions merged" if chosen is None else f"regions merged below a mean boundary of {chosen:g}"
    averaged = "" if averaging == "none" else f" Give it --averaging {averaging} too, with which it was chosen."
    return "\n".join(
        [
            f"before  probabilities alone: Rand error {merging.rand_error_before:.4f}",
            f"tuned   {method}: Rand error {merging.rand_error:.4f}",
            f"Chosen on these {len(images)} validation images: on others expect less.",
            *unlearnt(figures(images, scope, ["iou"])),
            f"Written to {run.report}; predict --format isbi takes it from there.{averaged}",
        ]
    )
