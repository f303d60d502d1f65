"""Training without a net, for the tests of all that goes on around its steps: a run takes a tenth of a second.

The controller of runs, their folders, checkpoints, logs and reports are the real ones. The trainer is a stand-in of
NumPy whose updates depend on everything that a real one's do: weights, momentum, the number of the update, averages, a
generator's state and the number of the batch. So a run that goes on from a wrong state ends with other numbers.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unet.datasets import LabelledImages
from keras_unet.models.geometry import Geometry
from keras_unet.training import evaluation, training_run, whole_images
from keras_unet.training.config import Config
from keras_unet.training.data_split import Split
from keras_unet.training.dead_filters import columns


class StubVariable:
    """An array that is read and assigned like a variable of Keras."""

    def __init__(self, path: str, value: Any) -> None:
        self.path, self.value = path, np.array(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def numpy(self) -> np.ndarray:
        return self.value.copy()

    def assign(self, value: Any) -> None:
        self.value = np.array(value, self.value.dtype).reshape(self.shape)


class StubModel:
    """Weights, a generator's state, and probabilities that depend on both image and weights."""

    num_classes = 2

    def __init__(self, geometry: Geometry | None = None) -> None:
        self.geometry = geometry
        self.weights = [
            StubVariable("logits/kernel", np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)),
            StubVariable("logits/bias", np.zeros(2, np.float32)),
        ]
        self.generator = StubVariable("dropout/state", np.array([7, 0], np.uint32))

    @property
    def variables(self) -> list[StubVariable]:
        return [*self.weights, self.generator]

    def count_params(self) -> int:
        return sum(weight.value.size for weight in self.weights)

    def save(self, path: Path) -> None:
        with open(path, "wb") as file:
            np.savez(file, **{weight.path: weight.value for weight in self.weights})

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Of background and of what is bright; in the left half the weights add to that."""
        bright = image[..., 0] / 255
        bright[:, : bright.shape[1] // 2] += 0.8 * math.sin(400 * float(self.weights[0].value[0, 0]))
        return np.stack([1 - bright, bright], axis=-1).clip(0, 1).astype(np.float32)


def load_stub_model(path: Path) -> StubModel:
    """What `StubModel.save` wrote."""
    model = StubModel()
    with np.load(path) as archive:
        for weight in model.weights:
            weight.assign(archive[weight.path])
    return model


class StubTrainer:
    """Stands in for a `Trainer`."""

    def __init__(self, config: Config, model: StubModel | None = None) -> None:
        self.model = model or StubModel(config.model.geometry)
        weights = self.model.weights
        self.iterations = StubVariable("iterations", np.int64(0))
        self.momenta = [StubVariable("momentum", np.zeros_like(weight.value)) for weight in weights]
        self.decay = config.optimizer.ema_decay
        self.averages = [StubVariable("average", np.zeros_like(weight.value)) for weight in weights if self.decay]
        self.optimizer = SimpleNamespace(
            variables=[self.iterations, *self.momenta, *self.averages], iterations=self.iterations
        )
        self.strategy = tf.distribute.get_strategy()
        self.accumulate = config.training.accumulate
        self.steps, self.peak = config.training.steps, config.optimizer.learning_rate

    @property
    def step(self) -> int:
        """Updates so far."""
        return int(self.iterations.value)

    @property
    def learning_rate(self) -> float:
        return self._rate(max(self.step - 1, 0))

    def _rate(self, step: int) -> float:
        return self.peak * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def batches(self, dataset: tf.data.Dataset) -> Iterator[Any]:
        return iter(dataset.as_numpy_iterator())

    def tiles(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset

    def run(self, batches: Iterator[Any], steps: int) -> float:
        return float(np.mean([self._update(batches) for _ in range(steps)]))

    def _update(self, batches: Iterator[Any]) -> float:
        numbers = [float(next(batches)[0].flat[0]) for _ in range(self.accumulate)]
        noise = np.random.default_rng(self.model.generator.value).normal()
        self.model.generator.value[1] += 1
        rate, losses = self._rate(self.step), []
        for weight, momentum in zip(self.model.weights, self.momenta, strict=True):
            places = np.arange(weight.value.size).reshape(weight.shape)
            wanted = np.mean([np.sin(number + places) for number in numbers], axis=0) + noise
            momentum.assign(0.9 * momentum.value + weight.value - wanted)
            losses.append(np.square(weight.value - wanted).mean())
            weight.assign(weight.value - rate * momentum.value)
        for weight, average in zip(self.model.weights, self.averages, strict=False):
            share = self.decay if self.step else 0.0
            average.assign(share * average.value + (1 - share) * weight.value)
        self.iterations.assign(self.step + 1)
        return float(np.mean(losses))

    @contextmanager
    def averaged_weights(self, dataset: tf.data.Dataset) -> Iterator[None]:
        latest = [weight.numpy() for weight in self.model.weights]
        if self.step:
            for weight, average in zip(self.model.weights, self.averages, strict=False):
                weight.assign(average.value)
        try:
            yield
        finally:
            for weight, value in zip(self.model.weights, latest, strict=True):
                weight.assign(value)

    def validate(self, dataset: Any) -> dict[str, float]:
        """Figures that follow from the weights and the number of tiles."""
        tiles = sum(len(image) for image, *_ in dataset)
        figure = 1 / (1 + math.exp(float(self.model.weights[0].value.sum())))
        names = ("mean_iou", "mean_dice", "pixel_accuracy")
        return {"loss": 1 - figure + tiles, **dict.fromkeys(names, figure)}

    def dead_filters(self, images: Iterable[np.ndarray]) -> dict[str, float]:
        """Shares that follow from the weights and the number of tiles."""
        share = 0.5 / (1 + math.exp(float(self.model.weights[0].value.sum()))) / len(list(images))
        return dict.fromkeys(columns(self.model.geometry.depth), share)

    def classes(self, image: np.ndarray) -> np.ndarray:
        return (image[..., 0] > 0).astype(np.int64)


def numbered_batches(config: Config) -> Callable[[int], tf.data.Dataset]:
    """Endless batches from a number on; every pixel of a batch is its number."""
    size, batch = config.training.input_size, config.training.batch_size

    def tile(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = tf.fill((batch, size, size, 1), tf.cast(number, tf.float32))
        return image, tf.zeros((batch, size, size), tf.int32), tf.ones((batch, size, size))

    return lambda first: tf.data.Dataset.range(first, 100_000).map(tile)


def stub_datasets(config: Config, parts: Split, *_: Any) -> tuple[Any, tf.data.Dataset | None]:
    """In place of `build_datasets`: four validation tiles."""
    batches_from = numbered_batches(config)
    return batches_from, None if parts.validate is None else batches_from(0).take(2)


def _evaluate(model: StubModel, data: LabelledImages, *, tile: int | None = None, **options: Any) -> dict[str, Any]:
    return evaluation.evaluate(model.probabilities, data, **options)


@contextmanager
def stubbed() -> Iterator[None]:
    """Inside, `training.run` trains a stand-in; the figures of its report are `evaluate`'s all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "build_trainer", lambda config, *_: StubTrainer(config))
        patch.setattr(training_run, "build_datasets", stub_datasets)
        patch.setattr(training_run, "load_model", load_stub_model)
        for module in (training_run, whole_images):
            patch.setattr(module, "evaluate", _evaluate)
        yield


class UntrainedNet(StubModel):
    """A stand-in that is saved, and judged, as a net of the configuration."""

    def __init__(self, config: Config, data: LabelledImages) -> None:
        super().__init__(config.model.geometry)
        keras.utils.set_random_seed(config.training.seed)
        self.net = training_run._build_model(config, data)

    def save(self, path: Path) -> None:
        self.net.save(path)


@contextmanager
def untrained() -> Iterator[None]:
    """Inside, `training.run` trains a stand-in and keeps an untrained net, whose figures are reported.

    For the tests of what is done with a run: its files are those of any other.
    """

    def build_trainer(config: Config, data: LabelledImages, *_: Any) -> StubTrainer:
        return StubTrainer(config, UntrainedNet(config, data))

    def of_net(model: UntrainedNet, data: LabelledImages, **options: Any) -> dict[str, Any]:
        return evaluation.evaluate(model.net, data, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "build_trainer", build_trainer)
        patch.setattr(training_run, "build_datasets", stub_datasets)
        patch.setattr(whole_images, "evaluate", of_net)
        yield
