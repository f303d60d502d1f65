"""The training loop: one step under a `tf.distribute` strategy, several steps a call, figures on a validation set."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet import metrics
from keras_unet.metrics.scores import class_scores
from keras_unet.preprocessing.pixel_normalization import pixels_are_normalized

from .dead_filters import DeadFilters
from .distribution import iterate

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]

_TILES_FOR_STATISTICS = 64


class DivergedError(ValueError):
    """The loss or the weights are no longer finite.

    Args:
        message: A sentence for the user.
        batch: Which of the batches of this call it was, from 0.
    """

    def __init__(self, message: str, batch: int = 0) -> None:
        super().__init__(message)
        self.batch = batch


class Trainer:
    """Updates a model's weights, batch by batch.

    Same model, loss, optimizer and data give the same weights as `model.compile` and `fit`, unless the model normalises
    images: `fit` lets it take each tile for an image, here the tiles come normalised. Unlike `fit` it also works under
    `MultiWorkerMirroredStrategy`, and its whole state can be stored (`checkpoints.snapshot`).

    Args:
        model: Made under `strategy.scope()`.
        optimizer: Made under `strategy.scope()`.
        loss: Called with labels, logits and `sample_weight`.
        strategy: None for one device.
        xla: Whether to compile the step with XLA.
        accumulate: Batches whose gradients are averaged for one update.
        augment: Makes image, label and weight of what a training batch holds, on each replica's device; None where it
            holds these.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        *,
        strategy: tf.distribute.Strategy | None = None,
        xla: bool = False,
        accumulate: int = 1,
        augment: Callable[[Any], Batch] | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.strategy = strategy or tf.distribute.get_strategy()
        self.accumulate = accumulate
        self._augment = augment
        self._schedule = _learning_rates(self._update_rule)
        with self.strategy.scope():
            optimizer.build(model.trainable_variables)
            self._sums = [_per_replica(variable) for variable in model.trainable_variables if accumulate > 1]
        # Keras clips the gradients of each replica before it sums them. Of n equal means, each clipped to an n-th, the
        # sum is the clipped sum.
        replicas, rule = self.strategy.num_replicas_in_sync, self._update_rule
        self._clips_mean = replicas > 1 and rule.global_clipnorm is not None
        if self._clips_mean:
            rule.global_clipnorm /= replicas
        # Replicas exchange gradients between forward and update, which XLA cannot compile into one program.
        alone = self.strategy.num_replicas_in_sync == 1
        # Nor may a function within a replica's function exchange statistics, as batch normalization does.
        compiled = xla and not alone
        self._gradients = (
            tf.function(self._loss_and_gradients, jit_compile=True) if compiled else self._loss_and_gradients
        )
        self._step = tf.function(self._update if accumulate == 1 else self._add, jit_compile=xla and alone)
        self._apply_mean = tf.function(self._update_from_sums, jit_compile=xla and alone)
        self._several = tf.function(self._updates)
        self._look = tf.function(self._normalize_next)
        self._forward = tf.function(self._logits_and_loss, reduce_retracing=True)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last update; before the first one, that of the first."""
        return float(self._schedule(max(int(self._update_rule.iterations.numpy()) - 1, 0)))

    @property
    def _update_rule(self) -> keras.optimizers.Optimizer:
        return getattr(self.optimizer, "inner_optimizer", self.optimizer)

    @contextmanager
    def averaged_weights(self, dataset: tf.data.Dataset) -> Iterator[None]:
        """Inside, the model holds the averages of its weights, if the optimizer keeps some; not for training.

        Batch normalization takes the statistics that these weights have on the first 64 tiles of a dataset: those
        that training keeps are of the weights that it averages.

        Args:
            dataset: Endless training batches, always from the same one on, so that equal weights are judged alike.
        """
        rule, variables = self._update_rule, self.model.variables
        # Before the first update that float16's loss scale let pass, the averages are zeros.
        if not rule.use_ema or rule.iterations.numpy() == 0:
            yield
            return
        latest = [np.array(variable.numpy()) for variable in variables]
        with self.strategy.scope():
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            self._refresh_statistics(dataset)
            yield
        finally:
            self._assign(variables, latest)

    def _refresh_statistics(self, dataset: tf.data.Dataset) -> None:
        """Give batch normalization the mean statistics of some batches (Izmailov et al. 2018, section 3.3)."""
        layers = [layer for layer in self.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        if not layers:
            return
        statistics = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
        sums = [np.zeros(variable.shape, np.float64) for variable in statistics]
        batches, seen, count = self.batches(dataset), 0, 0
        while seen < _TILES_FOR_STATISTICS:
            # From zeros a layer moves by 1 - momentum of the way to the statistics of the batch.
            self._assign(statistics, [np.zeros(variable.shape) for variable in statistics])
            seen, count = seen + int(self._look(batches)), count + 1
            for total, variable in zip(sums, statistics, strict=True):
                total += variable.numpy()
        parts = [count * (1 - layer.momentum) for layer in layers for _ in range(2)]
        self._assign(statistics, [total / part for total, part in zip(sums, parts, strict=True)])

    def _assign(self, variables: Iterable[keras.Variable], values: Iterable[NDArray[Any]]) -> None:
        with self.strategy.scope():
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def batches(self, dataset: tf.data.Dataset) -> Iterator[Any]:
        """An iterator over the dataset that `run` takes; each replica gets its share of a batch."""
        return iterate(self.strategy, dataset)

    def tiles(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """A training dataset as image, label and weight, whichever of them are made within the step."""
        return dataset if self._augment is None else dataset.map(self._augment)

    def run(self, batches: Iterator[Any], steps: int) -> float:
        """Update the weights `steps` times, in one call of a graph.

        Args:
            batches: What `batches()` returned.
            steps: Number of updates; each takes `accumulate` batches.

        Returns:
            The mean loss of these batches.

        Raises:
            DivergedError: If the loss became NaN or infinite; it knows at which batch.
        """
        losses = self._several(batches, tf.constant(steps)).numpy()
        diverged = np.flatnonzero(~np.isfinite(losses))
        if diverged.size:
            first = int(diverged[0])
            raise DivergedError(
                f"Expected a finite loss. Received {losses[first]} at learning rate {self.learning_rate:.3g}: "
                "try a smaller one, or optimizer.clip_norm.",
                first,
            )
        return float(losses.mean(dtype=np.float64))

    def validate(self, dataset: tf.data.Dataset) -> dict[str, float]:
        """Figures over a finite dataset of `(image, label, weight)`, without dropout, on one device.

        Returns:
            `loss`, the mean over all tiles; and over the pixels whose weight is not 0 `mean_iou`, `mean_dice` and
            `pixel_accuracy`, from counts summed over the whole dataset.
        """
        counts = metrics.PixelAccuracy(self.model.num_classes)
        total, tiles = 0.0, 0
        for image, label, weight in dataset:
            logits, loss = self._forward(image, label, weight)
            counts.update_state(label, logits, weight)
            total, tiles = total + float(loss) * len(image), tiles + len(image)
        scores = class_scores(counts.confusion_matrix)
        return {
            "loss": total / max(tiles, 1),
            "mean_iou": float(np.nanmean(scores.iou)),
            "mean_dice": float(np.nanmean(scores.dice)),
            "pixel_accuracy": float(counts.result()),
        }

    def dead_filters(self, images: Iterable[NDArray[Any]]) -> dict[str, float]:
        """Share of dead filters on some tiles `(height, width, channels)`, by column of log.csv, see `DeadFilters`."""
        return self._find_dead_filters(images)

    @cached_property
    def _find_dead_filters(self) -> DeadFilters:
        return DeadFilters(self.model)

    def classes(self, image: Any) -> NDArray[np.int64]:
        """Predicted class of each pixel, without dropout.

        Args:
            image: `(batch, height, width, channels)`, raw pixels, of a legal size.

        Returns:
            `(batch, output_height, output_width)`.
        """
        with pixels_are_normalized():
            logits = np.asarray(self.model(tf.cast(image, tf.float32), training=False))
        return (logits[..., 0] > 0).astype(np.int64) if logits.shape[-1] == 1 else np.argmax(logits, axis=-1)

    def _logits_and_loss(self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with pixels_are_normalized():
            logits = self.model(image, training=False)
        return logits, self.loss(label, logits, sample_weight=weight)

    def _loss_and_gradients(
        self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            with pixels_are_normalized():
                logits = self.model(image, training=True)
            # Keras divides by the number of replicas, so the sum over replicas is the mean over the batch.
            loss = self.loss(label, logits, sample_weight=weight)
            scaled = self.optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, self.model.trainable_variables)

    def _normalize_next(self, batches: Iterator[Any]) -> tf.Tensor:
        """Pass the next batch through the net as in training; the number of its tiles."""

        def tiles(image: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            with pixels_are_normalized():
                self.model(image, training=True)
            return tf.shape(image)[0]

        counts = self.strategy.run(tiles, args=self._replica_tiles(next(batches)))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, counts, axis=None)

    def _replica_tiles(self, batch: Any) -> Any:
        """Each replica's image, label and weight. Not part of the step: a nested function may not synchronise."""
        return batch if self._augment is None else self.strategy.run(self._augment, args=(batch,))

    def _update(self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        loss, gradients = self._gradients(image, label, weight)
        self._apply(gradients)
        return loss

    def _add(self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        loss, gradients = self._gradients(image, label, weight)
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.assign_add(gradient)
        return loss

    def _update_from_sums(self) -> None:
        self._apply([total / self.accumulate for total in self._sums])
        for total in self._sums:
            total.assign(tf.zeros_like(total))

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        if self._clips_mean:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))

    def _updates(self, batches: Iterator[Any], steps: tf.Tensor) -> tf.Tensor:
        """Losses of all batches, in order."""
        losses = tf.TensorArray(tf.float32, steps * self.accumulate, element_shape=())
        for step in tf.range(steps):
            for part in tf.range(self.accumulate):
                # Batches of one update do not wait for each other; two at a time would take the memory of two.
                tf.autograph.experimental.set_loop_options(parallel_iterations=1)
                loss = self.strategy.run(self._step, args=self._replica_tiles(next(batches)))
                mean = self.strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
                losses = losses.write(step * self.accumulate + part, mean)
            if self.accumulate > 1:
                self.strategy.run(self._apply_mean)
        return losses.stack()


def _learning_rates(rule: keras.optimizers.Optimizer) -> Callable[[int], Any]:
    """The learning rate by the number of the update, counted from 0."""
    schedule = rule._learning_rate  # public is its value at the next update alone
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return lambda update: schedule(update)
    return lambda update: rule.learning_rate


def _per_replica(variable: keras.Variable) -> tf.Variable:
    """Zeros as large as a weight, that each replica adds to on its own."""
    return tf.Variable(
        tf.zeros(variable.shape, variable.dtype),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )
