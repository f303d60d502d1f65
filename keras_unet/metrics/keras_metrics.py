"""Streaming metrics on one confusion matrix of the whole data set, from logits and sparse labels.

Intersections and areas are summed over all images before any ratio is taken, as mmsegmentation does: the scores do not
depend on how images are batched or spread over replicas. With t the pixels of a class in the truth, r those in the
result and i those in both: IoU = i / (t + r - i), Dice = 2 i / (t + r).

- Counts are int64, exact for any data set.
- One logit means two classes, the foreground where the logit is above 0 (probability above 0.5).
- A class in neither truth nor result has no score: NaN by itself, left out of means.
- A pixel of weight 0 does not count, all others count alike: a weight map says what is hard to learn, not what is worth
  more. Keras hands weights to the metrics named in `weighted_metrics` alone. `ignore_label` leaves out pixels too.
- A label that is neither a class nor the ignored one makes every score NaN.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_unet.losses.pixel_labels import aligned_weights, sparse_labels


class ConfusionMatrixMetric(keras.metrics.Metric):
    """A score of the confusion matrix of all pixels seen since the last reset. Subclasses give `score`.

    Args:
        num_classes: Channels of the logits; 1 stands for two classes.
        ignore_label: Label of the pixels to leave out, or None.
        name: Name in logs, by default that of the score; scores of several classes need names of their own.
        dtype: Of the result; the counts are int64.

    Call arguments:
        y_true: Labels `(batch, height, width)` or `(batch, height, width, 1)`.
        y_pred: Logits `(batch, height, width, num_classes)`.
        sample_weight: None, or weights `(batch, height, width)` of the pixels or `(batch,)` of the images; those of
            weight 0 are left out.

    Raises:
        ValueError: If `num_classes` is below 1, or shapes do not go together.
    """

    default_name: str | None = None

    def __init__(
        self, num_classes: int, ignore_label: int | None = None, name: str | None = None, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name or self.default_name, dtype=dtype)
        if num_classes < 1:
            raise ValueError(f"Expected num_classes of at least 1. Received num_classes={num_classes!r}.")
        self.num_classes = int(num_classes)
        self.ignore_label = ignore_label
        self.classes = max(self.num_classes, 2)
        # The row after the last class holds the pixels whose label is no class.
        self._counts = self.add_variable((self.classes + 1, self.classes), "zeros", dtype="int64", name="counts")

    @property
    def confusion_matrix(self) -> tf.Tensor:
        """Pixel counts so far, int64 `(classes, classes)`: row the truth, column the result."""
        return tf.convert_to_tensor(self._counts)[: self.classes]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the pixels of a batch."""
        if y_pred.shape[-1] != self.num_classes:
            raise ValueError(f"Expected logits of {self.num_classes} channels. Received shape {y_pred.shape}.")
        labels = sparse_labels(y_true, y_pred)
        truth = tf.where((labels >= 0) & (labels < self.classes), labels, self.classes)
        cell = truth * self.classes + _predicted_class(y_pred)
        # Negative cells are dropped.
        if self.ignore_label is not None:
            cell = tf.where(tf.equal(labels, self.ignore_label), -1, cell)
        if sample_weight is not None:
            cell = tf.where(tf.equal(aligned_weights(sample_weight, y_pred), 0.0), -1, cell)
        self._counts.assign_add(self._histogram(tf.reshape(cell, [-1])))

    def _histogram(self, cell: tf.Tensor) -> tf.Tensor:
        shape = (self.classes + 1, self.classes)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(cell, tf.int64), cell, shape[0] * shape[1])
        return tf.reshape(counts, shape)

    def result(self) -> tf.Tensor:
        """Return the score of all pixels since the last reset."""
        counts = tf.cast(tf.convert_to_tensor(self._counts), tf.float64)
        score = self.score(counts[: self.classes])
        strays = tf.reduce_sum(counts[self.classes])
        return tf.cast(tf.where(strays > 0.0, tf.constant(float("nan"), tf.float64), score), self.dtype)

    def score(self, matrix: tf.Tensor) -> tf.Tensor:
        """One number from the confusion matrix, float64 `(classes, classes)`: row the truth, column the result."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "num_classes": self.num_classes, "ignore_label": self.ignore_label}


class _OfOneClass(ConfusionMatrixMetric):
    """A score of the class `class_index`, background 0; other arguments as `ConfusionMatrixMetric`."""

    def __init__(
        self,
        num_classes: int,
        class_index: int = 1,
        ignore_label: int | None = None,
        name: str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__(num_classes, ignore_label, name, dtype)
        if not 0 <= class_index < self.classes:
            raise ValueError(f"Expected a class_index of 0 to {self.classes - 1}. Received {class_index!r}.")
        self.class_index = int(class_index)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "class_index": self.class_index}


@keras.saving.register_keras_serializable(package="keras_unet")
class PixelAccuracy(ConfusionMatrixMetric):
    """Part of the pixels whose class is right. Arguments as `ConfusionMatrixMetric`."""

    default_name = "pixel_accuracy"

    def score(self, matrix: tf.Tensor) -> tf.Tensor:
        """Diagonal over all."""
        return _accuracy(matrix)


@keras.saving.register_keras_serializable(package="keras_unet")
class MeanIoU(ConfusionMatrixMetric):
    """Mean over the classes present of intersection over union. Arguments as `ConfusionMatrixMetric`."""

    default_name = "mean_iou"

    def score(self, matrix: tf.Tensor) -> tf.Tensor:
        """Mean IoU."""
        return _mean_of_present(_iou(matrix))


@keras.saving.register_keras_serializable(package="keras_unet")
class MeanDice(ConfusionMatrixMetric):
    """Mean over the classes present of the Dice coefficient: mmsegmentation's mDice."""

    default_name = "mean_dice"

    def score(self, matrix: tf.Tensor) -> tf.Tensor:
        """Mean Dice."""
        return _mean_of_present(_dice(matrix))


@keras.saving.register_keras_serializable(package="keras_unet")
class IoU(_OfOneClass):
    """Intersection over union of the class `class_index`, by default 1."""

    default_name = "iou"

    def score(self, matrix: tf.Tensor) -> tf.Tensor:
        """IoU of the class."""
        return _iou(matrix)[self.class_index]


@keras.saving.register_keras_serializable(package="keras_unet")
class DiceCoefficient(_OfOneClass):
    """Dice coefficient of the class `class_index`, by default 1: mmsegmentation's "Dice" of vessels or cells."""

    default_name = "dice"

    def score(self, matrix: tf.Tensor) -> tf.Tensor:
        """Dice of the class."""
        return _dice(matrix)[self.class_index]


def _predicted_class(logits: tf.Tensor) -> tf.Tensor:
    if logits.shape[-1] == 1:
        return tf.cast(logits[..., 0] > 0, tf.int32)
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


def _areas(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels `(classes,)` in both truth and result, and the sum of those in each."""
    return tf.linalg.diag_part(matrix), tf.reduce_sum(matrix, axis=0) + tf.reduce_sum(matrix, axis=1)


def _iou(matrix: tf.Tensor) -> tf.Tensor:
    both, sum_of_areas = _areas(matrix)
    return both / (sum_of_areas - both)  # 0 / 0 is NaN: the class is absent


def _dice(matrix: tf.Tensor) -> tf.Tensor:
    both, sum_of_areas = _areas(matrix)
    return 2.0 * both / sum_of_areas


def _accuracy(matrix: tf.Tensor) -> tf.Tensor:
    return tf.linalg.trace(matrix) / tf.reduce_sum(matrix)


def _mean_of_present(scores: tf.Tensor) -> tf.Tensor:
    present = tf.logical_not(tf.math.is_nan(scores))
    number = tf.reduce_sum(tf.cast(present, scores.dtype))
    return tf.reduce_sum(tf.where(present, scores, tf.zeros_like(scores))) / number
