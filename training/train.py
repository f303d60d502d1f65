"""`keras-unet train`: from a configuration to a run folder with weights, log and figures."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_unet.augment import AugmentationSettings
from keras_unet.data_service import through_service
from keras_unet.datasets import LabelledImages
from keras_unet.files import write_text
from keras_unet.geometry import Geometry
from keras_unet.losses import CrossentropyDice, WeightedCrossentropy
from keras_unet.pipeline import class_balance, prepare, tile_warp, training_dataset, validation_dataset
from keras_unet.unet import UNet, copy_weights, load_model

from .checkpoints import Progress
from .config import Config, ConfigError, Loss
from .config_sections import OF_WHOLE_IMAGES
from .course import Course
from .distribution import Workers, check_batch_size, choose_strategy, joined
from .evaluation import evaluate, format_table, unlearnt
from .locking import locked
from .loop import Trainer
from .monitoring import Say
from .optimizers import build_optimizer
from .provenance import check_data, provenance, store, versions
from .run_folder import RunFolder
from .split import Split, load_data, split
from .starting_net import StartingNet, check_fits, find_start, remarks
from .whole_images import check_monitor, monitored

Figures = dict[str, Any]


def run(
    config: Config,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    data: LabelledImages | None = None,
    say: Say = print,
) -> Figures:
    """Train a U-Net and judge it on the validation set.

    Called again with the same configuration and folder, an unfinished run goes on where its last checkpoint was
    written and ends as if it had not been interrupted.

    Args:
        config: What `load_config` returned.
        out: Run folder: config.toml, data.txt, provenance.json, log.csv, tensorboard/, checkpoints/, model.keras and
            report.json.
        overwrite: Whether to replace a run that is in the folder; other files are never touched.
        data: Labelled images at hand, instead of those `config.data` names; divided as it says.
        say: Takes lines for the user.

    Returns:
        The report: why and after how many steps the run ended, its best step, seconds, parameters, and the figures
        of `evaluate` on the validation set (None without one). Of several workers only the chief writes and reports;
        the others return an empty report.

    Raises:
        ConfigError: If the configuration, TF_CONFIG or the folder cannot be used; if another process trains in it; if a
            run would go on with other data than it began with; if a step does not fit into the memory of the device;
            if there is no net in `training.start_from`, or one that does not fit.
        WorkerLostError: If another worker of the run ended or can no longer be reached.
        ValueError: If the data cannot be used, or the loss is no longer finite.
        OSError: If files cannot be read or written.
    """
    folder = RunFolder(Path(out))
    folder.check(config, overwrite)
    strategy = choose_strategy()
    check_batch_size(config.training.batch_size, strategy)
    with joined(strategy, folder.path) as path:
        if path == folder.path:
            with locked(path):
                return _run(config, folder, overwrite, strategy, data, say)
        return _run(config, RunFolder(path), True, strategy, data, lambda line: None)


def _run(
    config: Config,
    folder: RunFolder,
    overwrite: bool,
    strategy: tf.distribute.Strategy,
    data: LabelledImages | None,
    say: Say,
) -> Figures:
    start = find_start(config, Workers(strategy), folder, overwrite)
    parts = split(load_data(config.data) if data is None else data, config.data)
    for note in (*parts.notes, *remarks(start, parts)):
        say(note)
    record = provenance(parts) | ({} if start is None else {"start": start.record})
    changed = [] if overwrite else check_data(folder, record, config.training.allow_changed_data)
    for sample in changed:
        say(f"Changed since the run began: {sample}.")
    check_monitor(config, parts.validate)
    trainer = build_trainer(config, parts.train, strategy, start)
    batches_from, validation = build_datasets(config, parts, trainer.model.geometry, strategy)
    folder.open(config, overwrite)
    write_text(folder.notes, "\n".join(parts.notes) + "\n")
    if changed or not folder.provenance.exists():
        store(folder, record)
    whole_images = partial(monitored, config, trainer.model, parts.validate)
    course = Course(trainer, config, folder, batches_from, validation, say, whole_images)
    progress = course.to_the_end()
    if not Workers(strategy).is_chief:
        return {}
    report = _report(config, folder, parts, progress, start)
    if report["validation"] is not None:
        for line in (format_table(report["validation"]), *unlearnt(report["validation"])):
            say(line)
    monitor, best = config.training.monitor, ""
    if progress.best is not None:
        of = "" if monitor in OF_WHOLE_IMAGES else " of validation tiles"
        best = f" of step {progress.best_step}, {monitor}{of} {progress.best:.4g}"
    say(f"Finished ({progress.finished}) after {progress.step} steps. Model{best}: {folder.model}")
    return report


def build_trainer(
    config: Config,
    data: LabelledImages,
    strategy: tf.distribute.Strategy | None = None,
    start: StartingNet | None = None,
) -> Trainer:
    """Model, optimizer and loss of a configuration, with weights drawn from its seed, or those of a trained net.

    Sets the seeds of Python, NumPy and TensorFlow, and op determinism where the configuration asks for it.

    Args:
        config: The configuration.
        data: Training images, for what the configuration leaves to them: channels, classes and range of the pixels.
        strategy: None for one device.
        start: The net to start from, found before, as that draws random numbers; None for random weights.

    Raises:
        ConfigError: If the net's classes are not those of the data, or the net to start from does not fit.
        ValueError: If an augmentation is out of range.
    """
    keras.utils.set_random_seed(config.training.seed)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = _build_model(config, data, start)
        optimizer = build_optimizer(config.optimizer, config.training.steps, config.training.precision)
    loss = build_loss(config.loss, data.ignore_label)
    settings, augment = config.training, None
    if settings.augment_on == "device":
        augment = tile_warp(data.value_range, model.geometry, settings.input_size, _augmentation(config))
    return Trainer(
        model,
        optimizer,
        loss,
        strategy=strategy,
        xla=settings.xla,
        accumulate=settings.accumulate,
        augment=augment,
    )


def _build_model(config: Config, data: LabelledImages, start: StartingNet | None = None) -> UNet:
    wanted = config.model.num_classes or data.num_classes
    if wanted != data.num_classes and (wanted, data.num_classes) != (1, 2):
        raise ConfigError(f"model.num_classes: Expected {data.num_classes} as the data have. Received {wanted}.")
    low, high = config.model.value_range or data.value_range
    arguments: dict[str, Any] = {
        **config.model.model_dump(),
        "input_shape": (None, None, data.channels),
        "num_classes": wanted,
        "normalization": None if config.model.normalization == "none" else config.model.normalization,
        "value_range": (low, high if high > low else low + 1.0),
        "training_tile": config.training.input_size,
        "dtype": config.training.precision,
    }
    if start is None:
        return UNet(**arguments)
    check_fits(start, arguments)
    model = UNet(**arguments | start.pixels)
    if start.model is not None:
        copy_weights(start.model, model)
    return model


def _augmentation(config: Config) -> AugmentationSettings:
    return AugmentationSettings(**config.augmentation.model_dump())


def build_loss(settings: Loss, ignore_label: int | None = None) -> keras.losses.Loss:
    """The loss of a configuration; class weights and border term are part of the weight map."""
    if settings.kind == "crossentropy_dice":
        return CrossentropyDice(dice_weight=settings.dice_weight, ignore_label=ignore_label)
    return WeightedCrossentropy(ignore_label=ignore_label)


def build_datasets(
    config: Config, parts: Split, geometry: Geometry, strategy: tf.distribute.Strategy | None = None
) -> tuple[Callable[[int], tf.data.Dataset], tf.data.Dataset | None]:
    """The training dataset from a batch number on, and the validation tiles.

    Class weights come from the training set alone and hold for both. Training batches are what a trainer of this
    configuration takes, with `augment_on = "device"` cuts; under a strategy of several workers, this worker's share.

    Raises:
        ValueError: If the number of class weights is not the number of classes, or an augmentation is out of range.
    """
    settings = _augmentation(config)
    weights = config.loss.class_weights
    class_weights = class_balance(parts.train) if weights == "balanced" else None if weights == "none" else weights
    weigh = partial(prepare, w0=config.loss.w0, sigma=config.loss.sigma, class_weights=class_weights)
    examples = weigh(parts.train)
    tile, batch_size, seed = config.training.input_size, config.training.batch_size, config.training.seed

    workers = Workers(strategy or tf.distribute.get_strategy())

    def batches_from(step: int) -> tf.data.Dataset:
        def every(first: int, stride: int) -> tf.data.Dataset:
            return training_dataset(
                examples,
                geometry,
                tile,
                settings=settings,
                batch_size=batch_size,
                seed=seed,
                first_batch=step + first,
                worker=workers.index,
                workers=workers.count,
                stride=stride,
                cut_only=config.training.augment_on == "device",
                sampling=config.training.sampling,
            )

        machines = config.training.data_service
        return through_service(every, machines) if machines else every(0, 1)

    if parts.validate is None:
        return batches_from, None
    return batches_from, validation_dataset(weigh(parts.validate), geometry, tile, batch_size)


def _report(config: Config, folder: RunFolder, parts: Split, progress: Progress, start: StartingNet | None) -> Figures:
    """Judge the weights that were kept, and write the report."""
    model = load_model(folder.model)
    report: Figures = {
        "finished": progress.finished,
        "steps": progress.step,
        "best_step": progress.best_step,
        "seconds": round(progress.seconds, 1),
        "parameters": model.count_params(),
        "seed": config.training.seed,
        **({} if start is None else {"start": start.record}),
        "classes": list(parts.train.class_names),
        "versions": versions(),
        "validation": None if parts.validate is None else evaluate(model, parts.validate, threshold=None),
    }
    tuned = (folder.read_report() or {}).get("tuned")  # of a finished run whose model was lost
    stored = report if tuned is None else {**report, "tuned": tuned}
    write_text(folder.report, json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
    return report
