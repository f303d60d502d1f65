"""Cross-validation: as many nets as there are folds, each trained without one part of the samples and validated on it.

Every fold is a run in a folder of its own. When all are finished, each image is predicted by the net that was not
trained on it, and the metrics over all images are written beside the folds.
"""

import gc
import json
import os
from contextlib import suppress
from pathlib import Path
from statistics import mean, stdev

from keras_unet.datasets import LabelledImages
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics.computed_metrics import figures
from keras_unet.models.unet import load_model
from keras_unet.utils.atomic_files import write_text

from .cluster import read_cluster
from .config import Config, ConfigError
from .data_split import fold_settings, load_data, split
from .evaluation import Figures, best_scope, format_table, judge_all, scope_of
from .locking import locked
from .monitoring import Say
from .provenance import versions
from .run_folder import FOLD, RunFolder, is_whole
from .training_run import run
from .whole_images import check_monitor


def run_folds(
    config: Config,
    out: str | os.PathLike[str],
    count: int,
    overwrite: bool = False,
    *,
    data: LabelledImages | None = None,
    say: Say = print,
) -> Figures:
    """Train a net for each fold, and judge each image by the net that has not seen it.

    Called again with the same arguments, finished folds are kept and the others continue, as `run` does.

    Args:
        config: What `load_config` returned. The samples that it trains or validates on are divided into `count`
            contiguous blocks, in order.
        out: Folder for the folds: fold-1, fold-2 …, each a run folder, and report.json with metrics of all.
        count: Number of folds, at least 2.
        overwrite: Whether to replace the folds in the folder; other files are never touched.
        data: Labelled images at hand, instead of those `config.data` names.
        say: Takes lines for the user.

    Returns:
        The report: `validation`, metrics over all images, each by the net that was not trained on it; `folds`, with
        the metrics of each; `mean` and `spread` (standard deviation) of those.

    Raises:
        ConfigError: As `run`; if there are more folds than images; if all folds are finished.
        ValueError: As `run`.
        OSError: As `run`.
    """
    cluster = read_cluster()
    if cluster is not None and len(cluster.addresses) > 1:
        raise ConfigError(
            f"Expected one process to train all folds. Received TF_CONFIG with {len(cluster.addresses)} workers: unset "
            "it, or train without folds."
        )
    root = RunFolder(Path(out))
    _check_root(root)
    whole = load_data(config.data) if data is None else data
    configs = [
        config.model_copy(update={"data": settings}) for settings in fold_settings(config.data, len(whole), count)
    ]
    folders = [RunFolder(root.path / f"{FOLD}{number}") for number in range(1, count + 1)]
    _check_folds(root, configs, folders, whole, overwrite)
    with locked(root.path):
        if overwrite:
            _clear(root)
        for number, (one, folder) in enumerate(zip(configs, folders, strict=True), 1):
            say(f"Fold {number} of {count}: {folder.path}" + (", finished." if _is_finished(folder) else "."))
            if not _is_finished(folder):
                run(one, folder.path, data=whole, say=say)
                gc.collect()  # a trainer and its compiled functions hold each other
        report = _report(configs, folders, whole)
        write_text(root.report, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    say(f"All {report['validation']['images']} images, each predicted by the net of the fold without it:")
    for line in (format_table(report["validation"]), _in_words(report), f"Written to {root.report}"):
        say(line)
    return report


def _check_root(root: RunFolder) -> None:
    """Refuse a folder that holds something else than folds."""
    folder = str(root.path)
    if root.path.exists() and not root.path.is_dir():
        raise ConfigError(f"Expected a folder for the folds. Received {folder!r}, which is a file.")
    if root.is_ours():
        raise ConfigError(f"Expected an empty folder or one of folds. {folder!r} holds a single run; choose another.")
    others = [entry for entry in root.entries() if entry != root.report and not entry.name.startswith(FOLD)]
    if others:
        raise ConfigError(f"Expected an empty folder or one of folds. {folder!r} holds other files; choose another.")


def _check_folds(
    root: RunFolder, configs: list[Config], folders: list[RunFolder], whole: LabelledImages, overwrite: bool
) -> None:
    """Refuse before anything is trained what one of the folds would be refused for."""
    for config, folder in zip(configs, folders, strict=True):
        if overwrite or not _is_finished(folder):
            folder.check(config, overwrite)
        elif differing := folder.differences(config):
            raise ConfigError(
                f"Expected folds of the same configuration. The one in {str(folder.path)!r} differs in "
                f"{', '.join(differing)}; choose another folder, or --overwrite."
            )
        check_monitor(config, split(whole, config.data).validate)
    if not overwrite and root.report.exists() and all(_is_finished(folder) for folder in folders):
        raise ConfigError(
            f"Expected an empty folder or unfinished folds. The {len(folders)} folds in {str(root.path)!r} are "
            "finished; choose another folder, or --overwrite."
        )


def _is_finished(folder: RunFolder) -> bool:
    return folder.is_ours() and folder.read_report() is not None and is_whole(folder.model)


def _clear(root: RunFolder) -> None:
    """Remove all folds, also those beyond the number that is trained now."""
    root.report.unlink(missing_ok=True)
    for path in root.path.glob(f"{FOLD}*"):
        RunFolder(path).clear()
        with suppress(OSError):  # other files in it stay
            path.rmdir()


def _report(configs: list[Config], folders: list[RunFolder], whole: LabelledImages) -> Figures:
    """Metrics over all images and of each fold, with one threshold for objects, the best over all images."""
    judged = []
    for config, folder in zip(configs, folders, strict=True):
        validate = split(whole, config.data).validate
        judged.append([] if validate is None else judge_all(load_model(folder.model), validate))
    images = [image for fold in judged for image in fold]
    scope = best_scope(images, scope_of(whole, InstanceSettings()))
    folds: list[Figures] = []
    for folder, fold in zip(folders, judged, strict=True):
        own = folder.read_report() or {}
        facts = {key: own.get(key) for key in ("finished", "steps", "best_step", "seconds")}
        names = [image.name for image in fold]
        folds.append({"folder": folder.path.name, **facts, "names": names, "validation": figures(fold, scope)})
    scores = [_scores(fold["validation"]) for fold in folds]
    taken = {name: [score[name] for score in scores if name in score] for name in scores[0]}
    return {
        "finished": f"{len(folds)} folds",
        "seed": configs[0].training.seed,
        "classes": list(whole.class_names),
        "versions": versions(),
        "validation": figures(images, scope),
        "folds": folds,
        "mean": {name: mean(values) for name, values in taken.items()},
        "spread": {name: stdev(values) if len(values) > 1 else 0.0 for name, values in taken.items()},
    }


def _scores(validation: Figures) -> dict[str, float]:
    """Metrics that are defined, those of a class as `iou cell`; neither counts nor the threshold."""
    scores: dict[str, float] = {}
    for name, value in validation.items():
        values = {f"{name} {key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        scores |= {key: one for key, one in values.items() if isinstance(one, float) and key != "threshold"}
    return scores


def _in_words(report: Figures) -> str:
    shown = ("mean_iou", "pixel_error", "rand_error", "seg")
    values = [
        f"{name} {report['mean'][name]:.4f} ± {report['spread'][name]:.4f}" for name in shown if name in report["mean"]
    ]
    return f"Mean and standard deviation of the {len(report['folds'])} folds: {', '.join(values)}"
