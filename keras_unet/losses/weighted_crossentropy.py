"""The weighted cross entropy of the U-Net paper (equation 1), from logits and sparse labels."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_unet.losses.pixel_labels import MEAN, aligned_weights, is_ignored, sparse_labels


@keras.saving.register_keras_serializable(package="keras_unet")
class WeightedCrossentropy(keras.losses.Loss):
    """Equation 1: the mean over all output pixels of w(x) times the cross entropy.

    Ignored pixels add 0 to the sum and still count in the mean, so that one pixel weighs the same in every batch.

    Args:
        ignore_label: Label of the pixels to leave out, or None.
        class_weights: One weight `(num_classes,)` per class, with one logit `(background, foreground)`, multiplied
            with `sample_weight`. None where the weight map holds them already.
        reduction: As in `keras.losses.Loss`. `"sum"` and `"none"` are for loops that divide themselves.
        name: Name of the loss.

    Call arguments:
        y_true: Labels `(batch, height, width)`.
        y_pred: Logits `(batch, height, width, num_classes)`.
        sample_weight: Weights w `(batch, height, width)` of the pixels or `(batch,)` of the images.

    Raises:
        ValueError: If the shapes do not go together, or a class weight is negative.

    Reference:
        Ronneberger et al. 2015, section 3, equation 1 (there without the minus sign).

    Example:
        >>> model.compile(optimizer="adam", loss=WeightedCrossentropy())
        >>> model.fit(images, labels, sample_weight=weights)
    """

    def __init__(
        self,
        ignore_label: int | None = None,
        class_weights: Sequence[float] | None = None,
        reduction: str | None = MEAN,
        name: str = "weighted_crossentropy",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        if class_weights is not None and min(class_weights) < 0:
            raise ValueError(f"Expected class_weights of at least 0. Received {list(class_weights)}.")
        self.ignore_label = ignore_label
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Cross entropy of the batch, reduced."""
        return super().__call__(y_true, y_pred, aligned_weights(sample_weight, y_pred))

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Cross entropy `(batch, height, width)` of each pixel, before `sample_weight`."""
        labels = sparse_labels(y_true, y_pred)
        ignored = is_ignored(labels, self.ignore_label)
        labels = tf.where(ignored, 0, labels)
        entropy = _crossentropy(labels, y_pred) * self._weight_of_class(labels, y_pred)
        return tf.where(ignored, 0.0, entropy)

    def _weight_of_class(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        if self.class_weights is None:
            return tf.constant(1.0)
        classes = max(logits.shape[-1], 2)
        if len(self.class_weights) != classes:
            raise ValueError(f"Expected {classes} class_weights. Received {self.class_weights}.")
        # A label that is no class is NaN already; clipping only keeps the lookup inside the table.
        return tf.gather(tf.constant(self.class_weights), tf.clip_by_value(labels, 0, classes - 1))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "ignore_label": self.ignore_label,
            "class_weights": self.class_weights,
        }


def _crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy `(batch, height, width)` of each pixel."""
    if logits.shape[-1] > 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    truth = tf.where((labels == 0) | (labels == 1), tf.cast(labels, tf.float32), float("nan"))
    return tf.nn.sigmoid_cross_entropy_with_logits(truth, logits[..., 0])
