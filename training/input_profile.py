"""`keras-unet train --profile`: what share of a training step goes into waiting for its input.

Batches are pulled inside a graph that makes several steps a call, so that waiting for them cannot be timed on its own.
It is found by comparison: steps on batches as the input pipeline delivers them, against the same steps on one batch
held in memory. The rate is 0 meanwhile: a step costs as much, and nothing is trained.
"""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from keras_unet.datasets import LabelledImages

from .config import Config, ConfigError, Training
from .data_split import load_data, split
from .distribution import Workers, check_batch_size, choose_strategy
from .input_failures import input_explained, out_of_memory
from .monitoring import Say
from .trainer import Trainer
from .training_run import build_datasets, build_trainer

_BLOCKS = 5
_SECONDS = 2.0  # of each block, but a step at least
_MUCH = 0.1

BatchesFrom = Callable[[int], tf.data.Dataset]


@dataclass(frozen=True)
class InputShare:
    """What was measured.

    Args:
        piped: Seconds of a step on batches of the input pipeline, the median of several blocks of steps.
        held: The same on a batch held in memory.
        tiles: Tiles that a step trains on, over all devices together.
    """

    piped: float
    held: float
    tiles: int

    @property
    def share(self) -> float:
        """Part of a step that the input costs, from 0 to below 1."""
        return max(0.0, 1.0 - self.held / self.piped)

    @property
    def images_per_second(self) -> float:
        """Tiles trained on per second."""
        return self.tiles / self.piped


def profile(config: Config, *, data: LabelledImages | None = None, say: Say = print) -> InputShare:
    """Measure the training step of a configuration on this machine, and say what its input costs.

    Data, net, loss, optimizer, precision and devices are those of `run`; weights are fresh and stay as they are.

    Args:
        config: What `load_config` returned.
        data: Labelled images at hand, instead of those `config.data` names.
        say: Takes lines for the user.

    Raises:
        ConfigError: If the configuration cannot be used, or a step does not fit into the memory of the device.
        ValueError: If the data cannot be used.
        OSError: If the data cannot be read.
    """
    strategy = choose_strategy()
    check_batch_size(config.training.batch_size, strategy)
    parts = split(load_data(config.data) if data is None else data, config.data)
    trainer = build_trainer(_at_rest(config), parts.train, strategy)
    batches_from, _ = build_datasets(config, replace(parts, validate=None), trainer.model.geometry, strategy)
    try:
        with input_explained(config):
            found = measure(trainer, batches_from, config.training)
    except tf.errors.ResourceExhaustedError as error:
        sentence = out_of_memory(config.training, trainer.model.geometry, strategy.num_replicas_in_sync)
        raise ConfigError(sentence) from error
    if Workers(strategy).is_chief:
        for line in report(found, config.training, on_gpu=bool(tf.config.list_logical_devices("GPU"))):
            say(line)
    return found


def measure(
    trainer: Trainer, batches_from: BatchesFrom, settings: Training, *, blocks: int = _BLOCKS, seconds: float = _SECONDS
) -> InputShare:
    """Time steps in blocks that alternate between the pipeline and a held batch.

    Args:
        trainer: Its weights change unless its learning rate is 0.
        batches_from: The training dataset from a batch number on.
        settings: Section `[training]`.
        blocks: Of either kind.
        seconds: About how long a block takes; a step at least.
    """
    batch = next(iter(batches_from(0).take(1)))
    held = trainer.batches(tf.data.Dataset.from_tensors(batch).repeat())
    wanted = max(1, math.ceil(seconds / _step_seconds(trainer, held, 1, 1)))
    wanted = int(Workers(trainer.strategy).chiefs(wanted))
    per_call = min(wanted, settings.steps_per_call)
    calls = wanted // per_call
    piped_times, held_times, first = [], [], 0
    for _ in range(blocks):
        # A pipeline of its own for each block: one that was kept would fill its buffers while the others are timed,
        # taking cores from them, and be faster for as long as they last.
        piped_times.append(_step_seconds(trainer, trainer.batches(batches_from(first)), calls, per_call))
        held_times.append(_step_seconds(trainer, held, calls, per_call))
        first += (1 + calls * per_call) * settings.accumulate
    tiles = settings.batch_size * settings.accumulate
    return InputShare(statistics.median(piped_times), statistics.median(held_times), tiles)


def _step_seconds(trainer: Trainer, batches: Iterator[Any], calls: int, per_call: int) -> float:
    """Mean seconds of a step after a first one, which may compile, or wait for a pipeline to start.

    The mean, not the median: batches made side by side come in bursts.
    """
    trainer.run(batches, 1)
    begun = time.perf_counter()
    for _ in range(calls):
        trainer.run(batches, per_call)
    return (time.perf_counter() - begun) / (calls * per_call)


def report(found: InputShare, settings: Training, *, on_gpu: bool) -> list[str]:
    """The figures in lines; where the input costs much, with what would help."""
    lines = [
        f"Step on batches from the input pipeline   {found.piped:.4g} s, {found.images_per_second:.4g} tiles a second",
        f"Step on a batch held in memory            {found.held:.4g} s, {found.tiles / found.held:.4g} tiles a second",
        f"Share of the input in a step              {100 * found.share:.1f} %",
    ]
    if found.share > _MUCH:
        lines.append(
            f"The input takes more than {100 * _MUCH:.0f} % of a step. What helps: {_cures(settings, on_gpu)}."
        )
    return lines


def _cures(settings: Training, on_gpu: bool) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cures = [] if settings.data_service else [f"more CPU cores (there are {cores})"]
    # Without an accelerator the warp would take the same cores from the step itself.
    if on_gpu and settings.augment_on == "cpu":
        cures.append('training.augment_on="device"')
    machines = "more" if settings.data_service else "other"
    return ", or ".join([*cures, f"{machines} machines that make the batches (training.data_service)"])


def _at_rest(config: Config) -> Config:
    """The same step at rate 0, so that no number of steps makes the loss diverge."""
    still = {"learning_rate": 0.0, "schedule": "constant", "warmup_steps": 0}
    return config.model_copy(update={"optimizer": config.optimizer.model_copy(update=still)})
