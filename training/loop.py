"""The training loop: one step under a `tf.distribute` strategy, several steps a call, figures on a validation set."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet import metrics

_UNCOUNTED = -1


class DivergedError(ValueError):
    """The loss or the weights are no longer finite."""


class Trainer:
    """Updates a model's weights, batch by batch.

    Same model, loss, optimizer and data give the same weights as `model.compile` and `fit`; unlike `fit` it also
    works under `MultiWorkerMirroredStrategy`, and its whole state can be stored (`checkpoints.snapshot`).

    Args:
        model: Made under `strategy.scope()`.
        optimizer: Made under `strategy.scope()`.
        loss: Called with labels, logits and `sample_weight`.
        strategy: None for one device.
        xla: Whether to compile the step with XLA.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        *,
        strategy: tf.distribute.Strategy | None = None,
        xla: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.strategy = strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            optimizer.build(model.trainable_variables)
        # Replicas exchange gradients between forward and update, which XLA cannot compile into one program.
        alone = self.strategy.num_replicas_in_sync == 1
        self._gradients = tf.function(self._loss_and_gradients, jit_compile=xla and not alone)
        self._step = tf.function(self._update, jit_compile=xla and alone)
        self._several = tf.function(self._updates)
        self._forward = tf.function(self._logits_and_loss, reduce_retracing=True)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return float(optimizer.learning_rate)

    def batches(self, dataset: tf.data.Dataset) -> Iterator[Any]:
        """An iterator over the dataset that `run` takes; each replica gets its share of a batch."""
        return iter(self.strategy.experimental_distribute_dataset(dataset))

    def run(self, batches: Iterator[Any], steps: int) -> float:
        """Update the weights `steps` times, in one call of a graph.

        Args:
            batches: What `batches()` returned.
            steps: Number of batches that are taken.

        Returns:
            The mean loss of these steps.

        Raises:
            DivergedError: If the loss became NaN or infinite.
        """
        loss = float(self._several(batches, tf.constant(steps)))
        if not math.isfinite(loss):
            raise DivergedError(
                f"Expected a finite loss. Received {loss} at learning rate {self.learning_rate:.3g}: "
                "try a smaller one, or optimizer.clip_norm."
            )
        return loss

    def validate(self, dataset: tf.data.Dataset) -> dict[str, float]:
        """Figures over a finite dataset of `(image, label, weight)`, without dropout, on one device.

        Returns:
            `loss`, the mean over all pixels; and over the pixels whose weight is not 0 `mean_iou`, `mean_dice` and
            `pixel_accuracy`, from counts summed over the whole dataset.
        """
        counts = metrics.PixelAccuracy(self.model.num_classes, ignore_label=_UNCOUNTED)
        total, tiles = 0.0, 0
        for image, label, weight in dataset:
            logits, loss = self._forward(image, label, weight)
            counts.update_state(tf.where(weight > 0, label, _UNCOUNTED), logits)
            total, tiles = total + float(loss) * len(image), tiles + len(image)
        scores = metrics.class_scores(counts.confusion_matrix)
        return {
            "loss": total / max(tiles, 1),
            "mean_iou": float(np.nanmean(scores.iou)),
            "mean_dice": float(np.nanmean(scores.dice)),
            "pixel_accuracy": float(counts.result()),
        }

    def classes(self, image: Any) -> NDArray[np.int64]:
        """Predicted class of each pixel, without dropout.

        Args:
            image: `(batch, height, width, channels)`, raw pixels, of a legal size.

        Returns:
            `(batch, output_height, output_width)`.
        """
        logits = np.asarray(self.model(tf.cast(image, tf.float32), training=False))
        return (logits[..., 0] > 0).astype(np.int64) if logits.shape[-1] == 1 else np.argmax(logits, axis=-1)

    def _logits_and_loss(self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self.model(image, training=False)
        return logits, self.loss(label, logits, sample_weight=weight)

    def _loss_and_gradients(
        self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = self.model(image, training=True)
            # Keras divides by the number of replicas, so the sum over replicas is the mean over the batch.
            loss = self.loss(label, logits, sample_weight=weight)
            scaled = self.optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, self.model.trainable_variables)

    def _update(self, image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        loss, gradients = self._gradients(image, label, weight)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        return loss

    def _updates(self, batches: Iterator[Any], steps: tf.Tensor) -> tf.Tensor:
        total = tf.constant(0.0)
        for _ in tf.range(steps):
            losses = self.strategy.run(self._step, args=next(batches))
            total += self.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
        return total / tf.cast(steps, tf.float32)
