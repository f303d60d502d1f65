"""The learning rate range test: a short training with a rising rate shows where the loss falls, and where it breaks.

After L. N. Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from keras_unet.datasets import LabelledImages

from .config import Config, ConfigError
from .data_split import load_data, split
from .distribution import Workers, check_batch_size, choose_strategy
from .input_failures import input_explained
from .monitoring import Bar, Say
from .starting_net import find_start
from .trainer import DivergedError, Trainer
from .training_run import build_datasets, build_trainer

_WIDTH = 0.02  # standard deviation of the smoothing, as a share of the test's steps
_BROKEN = 4.0  # times the lowest smoothed loss
_DECADE = 10.0


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw, an entry for each step it made.

    Args:
        rates: Learning rates, rising geometrically.
        losses: The loss of each step.
        smoothed: The same, smoothed over the steps before and after.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]

    @property
    def lowest(self) -> int:
        """The step of the lowest smoothed loss."""
        return int(np.argmin(self.smoothed))

    @property
    def suggestion(self) -> float:
        """A decade below the rate of the lowest smoothed loss, but not below the range that was tried.

        The steepest descent, the other common choice, is read from differences of a noisy curve; the place of its
        minimum changes less from seed to seed.
        """
        return float(max(self.rates[self.lowest] / _DECADE, self.rates[0]))

    @property
    def caution(self) -> str:
        """What speaks against the suggestion: a sentence, or an empty text."""
        if self.lowest == len(self.rates) - 1:
            return f"The loss was still falling at the highest rate, {self.rates[-1]:.1e}: a higher one may do better."
        if self.rates[self.lowest] < _DECADE * self.rates[0]:
            return f"The loss was lowest within a decade of the lowest rate, {self.rates[0]:.1e}: try lower ones."
        return ""


def find_learning_rate(
    config: Config,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 140,
    data: LabelledImages | None = None,
    say: Say = print,
) -> RangeTest:
    """Train the net that a configuration begins with from the lowest rate to the highest, or until its loss breaks.

    Everything but the course of the rate is as `run` would have it: batches, loss, optimizer, precision, seed.

    Args:
        config: What `load_config` returned.
        lowest: Rate of the first step.
        highest: Rate after the last step.
        steps: Updates from the one to the other.
        data: Labelled images at hand, instead of those `config.data` names.
        say: Takes lines for the user.

    Raises:
        ConfigError: If the rates do not rise, or the configuration cannot be used.
        ValueError: If the data cannot be used, or the first steps already break the loss.
        OSError: If the data cannot be read.
    """
    if not 0 < lowest < highest < math.inf or steps < 2:
        raise ConfigError(
            f"Expected at least 2 steps from a lowest rate above 0 to a higher one. Received {steps} steps from "
            f"{lowest:g} to {highest:g}."
        )
    rising = _with_rising_rate(config, lowest, highest, steps)
    strategy = choose_strategy()
    check_batch_size(config.training.batch_size, strategy)
    start = find_start(config, Workers(strategy))
    parts = split(load_data(config.data) if data is None else data, config.data)
    trainer = build_trainer(rising, parts.train, strategy, start)
    batches_from, _ = build_datasets(rising, replace(parts, validate=None), trainer.model.geometry)
    with input_explained(config):
        return _measure(trainer, trainer.batches(batches_from(0)), steps, say)


def _with_rising_rate(config: Config, lowest: float, highest: float, steps: int) -> Config:
    course = {"schedule": "exponential", "learning_rate": lowest, "end_learning_rate": highest, "warmup_steps": 0}
    optimizer = config.optimizer.model_copy(update=course)
    training = config.training.model_copy(update={"steps": steps})
    return config.model_copy(update={"optimizer": optimizer, "training": training})


def _measure(trainer: Trainer, batches: Iterator[Any], steps: int, say: Say) -> RangeTest:
    rates: list[float] = []
    losses: list[float] = []
    bar = Bar(steps, say=say)
    try:
        while len(losses) < steps and not _broken(losses, steps):
            try:
                losses.append(trainer.run(batches, 1))
            except DivergedError:
                break
            rates.append(trainer.learning_rate)
            bar.update(len(losses), {"loss": losses[-1], "learning rate": rates[-1]})
    finally:
        bar.close()
    if not losses:
        raise ValueError(f"Expected a finite loss at the lowest rate, {trainer.learning_rate:g}. Received NaN.")
    return RangeTest(np.array(rates), np.array(losses), _smooth(losses, steps))


def _broken(losses: list[float], steps: int) -> bool:
    if not losses:
        return False
    smoothed = _smooth(losses, steps)
    return bool(smoothed[-1] > _BROKEN * smoothed.min())


def _smooth(losses: list[float], steps: int) -> NDArray[np.float64]:
    """Centred, so that minima stay where they are."""
    return np.asarray(gaussian_filter1d(np.asarray(losses, np.float64), _WIDTH * steps, mode="nearest"))
