"""`keras-unet train`: from a configuration to a run folder with weights, log and figures."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.datasets import LabelledImages
from keras_unet.losses.crossentropy_dice import CrossentropyDice
from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy
from keras_unet.models.geometry import Geometry
from keras_unet.models.initialization import unit_variance
from keras_unet.models.unet import UNet, copy_weights, load_model
from keras_unet.pipeline.data_service import through_service
from keras_unet.pipeline.examples import class_balance, prepare
from keras_unet.pipeline.tile_datasets import mirrored, tile_warp, training_dataset, validation_dataset
from keras_unet.preprocessing.image_statistics import normalized, pixel_statistics
from keras_unet.utils.atomic_files import write_text

from .checkpoints import Progress
from .config import Config, ConfigError, Loss
from .config_sections import OF_WHOLE_IMAGES
from .data_split import Split, load_data, split
from .distribution import Workers, check_batch_size, choose_strategy, joined
from .evaluation import evaluate, format_table, unlearnt
from .locking import locked
from .monitoring import Say
from .optimizers import build_optimizer
from .provenance import check_data, provenance, store, versions
from .run_folder import RunFolder
from .run_loop import Course
from .starting_net import StartingNet, check_fits, find_start, remarks
from .trainer import Trainer
from .whole_images import check_monitor, monitored

Figures = dict[str, Any]

_LEAST_INSIDE = 0.01  # share of the training pixels
_FIRST_IMAGES = 4  # of which initial weights are fitted to the images


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
    batches_from, validation = build_datasets(config, parts, trainer.model.geometry, strategy, say)
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
    """Model, optimizer and loss of a configuration, with the weights of a trained net, or drawn from its seed.

    Drawn weights of a net without normalisation layers are fitted to the images: each feature map starts with mean 0
    and variance 1 on the first of them (`keras_unet.models.initialization.unit_variance`).

    Sets the seeds of Python, NumPy and TensorFlow, and op determinism where the configuration asks for it.

    Args:
        config: The configuration.
        data: Training images, for what the configuration leaves to them: channels, classes and range of the pixels.
        strategy: None for one device.
        start: The net to start from, found before, as that draws random numbers; None for random weights.

    Raises:
        ConfigError: If the net's classes are not those of the data, the net to start from does not fit, or XLA cannot
            compile what devices exchange.
        ValueError: If an augmentation is out of range.
    """
    keras.utils.set_random_seed(config.training.seed)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = strategy or tf.distribute.get_strategy()
    _check_xla(config, strategy.num_replicas_in_sync)
    with strategy.scope():
        model = _build_model(config, data, start)
        optimizer = build_optimizer(config.optimizer, config.training.steps, config.training.precision)
    loss = build_loss(config.loss, data.ignore_label)
    settings, augment = config.training, None
    if settings.augment_on == "device":
        augment = tile_warp(
            model.geometry, settings.input_size, _augmentation(config), normalize=model.normalizes_images
        )
    return Trainer(
        model,
        optimizer,
        loss,
        strategy=strategy,
        xla=settings.xla,
        accumulate=settings.accumulate,
        augment=augment,
    )


def _check_xla(config: Config, replicas: int) -> None:
    """Devices exchange the statistics of batch normalization within a step, which XLA cannot compile."""
    if config.training.xla and config.model.normalization == "batch" and replicas > 1:
        raise ConfigError(
            'training.xla: Expected false with model.normalization = "batch" on several devices, which exchange '
            'statistics within a step. Received true: switch it off, or choose "group".'
        )


def _build_model(config: Config, data: LabelledImages, start: StartingNet | None = None) -> UNet:
    wanted = config.model.num_classes or data.num_classes
    if wanted != data.num_classes and (wanted, data.num_classes) != (1, 2):
        raise ConfigError(f"model.num_classes: Expected {data.num_classes} as the data have. Received {wanted}.")
    _check_values(config, data)
    name = config.model.pixel_normalization
    arguments: dict[str, Any] = {
        **config.model.model_dump(),
        "input_shape": (None, None, data.channels),
        "num_classes": wanted,
        "normalization": None if config.model.normalization == "none" else config.model.normalization,
        "value_range": config.model.value_range or data.value_range,
        "pixel_normalization": data.pixel_statistics if name == "data" else name,
        "training_tile": config.training.input_size,
        "dtype": config.training.precision,
    }
    if start is None:
        model = UNet(**arguments)
        if arguments["normalization"] is None:
            unit_variance(model, _first_tiles(model, data, config.training.input_size))
        return model
    check_fits(start, arguments)
    model = UNet(**arguments | start.pixels)
    if start.model is not None:
        copy_weights(start.model, model)
    return model


def _first_tiles(model: UNet, data: LabelledImages, size: int) -> NDArray[np.float32]:
    """The middle of some images `(batch, size, size, channels)` as the net sees it, mirrored where they are smaller."""
    tiles = []
    for number in range(min(len(data), _FIRST_IMAGES)):
        image = data[number].image
        rows, columns = (mirrored((length - size) // 2 + np.arange(size), length) for length in image.shape[:2])
        tile = image[np.ix_(rows, columns)].astype(np.float32)
        tiles.append(normalized(tile, pixel_statistics(image)) if model.normalizes_images else tile)
    return np.stack(tiles)


def _check_values(config: Config, data: LabelledImages) -> None:
    """Refuse pixels of which no net can learn."""
    low, high = data.value_range
    if low == high:
        raise ValueError(f"Expected training images whose pixels differ. Received {low:g} in every pixel of all.")
    if config.model.value_range is None:
        return
    low, high = config.model.value_range
    inside = sum(int(np.count_nonzero((one.image >= low) & (one.image <= high))) for one in data)
    share = inside / sum(one.image.size for one in data)
    if share < _LEAST_INSIDE:
        raise ConfigError(
            f"model.value_range: Expected a range that holds at least {_LEAST_INSIDE:.0%} of the training pixels, "
            f"which are {data.value_range[0]:g} … {data.value_range[1]:g}. Received {low:g} … {high:g}, which holds "
            f"{share:.2%}."
        )


def _augmentation(config: Config) -> AugmentationSettings:
    return AugmentationSettings(**config.augmentation.model_dump())


def build_loss(settings: Loss, ignore_label: int | None = None) -> keras.losses.Loss:
    """The loss of a configuration; class weights and border term are part of the weight map."""
    if settings.kind == "crossentropy_dice":
        return CrossentropyDice(dice_weight=settings.dice_weight, ignore_label=ignore_label)
    return WeightedCrossentropy(ignore_label=ignore_label)


def build_datasets(
    config: Config,
    parts: Split,
    geometry: Geometry,
    strategy: tf.distribute.Strategy | None = None,
    say: Say = print,
) -> tuple[Callable[[int], tf.data.Dataset], tf.data.Dataset | None]:
    """The training dataset from a batch number on, and the validation tiles.

    Class weights come from the training set alone and hold for both. Training batches are what a trainer of this
    configuration takes, with `augment_on = "device"` cuts; under a strategy of several workers, this worker's share.
    `say` takes a sentence about each class that is too rare to be balanced.

    Raises:
        ValueError: If the number of class weights is not the number of classes, or an augmentation is out of range.
    """
    settings = _augmentation(config)
    weights = config.loss.class_weights
    class_weights = class_balance(parts.train, say) if weights == "balanced" else None if weights == "none" else weights
    weigh = partial(prepare, w0=config.loss.w0, sigma=config.loss.sigma, class_weights=class_weights)
    examples = weigh(parts.train)
    tile, batch_size, seed = config.training.input_size, config.training.batch_size, config.training.seed
    normalize = config.model.pixel_normalization == "image"

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
                normalize=normalize,
            )

        machines = config.training.data_service
        return through_service(every, machines) if machines else every(0, 1)

    if parts.validate is None:
        return batches_from, None
    return batches_from, validation_dataset(weigh(parts.validate), geometry, tile, batch_size, normalize)


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
