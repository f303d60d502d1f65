"""Soft Dice, from logits and sparse labels."""

from typing import Any

import keras
import tensorflow as tf

from keras_unet.losses.pixel_labels import MEAN, aligned_weights, is_ignored, sparse_labels

# A label of no data set: it says that a pixel's weight is 0.
_WITHOUT_WEIGHT = -(2**20)


@keras.saving.register_keras_serializable(package="keras_unet")
class Dice(keras.losses.Loss):
    """Soft Dice of each image: 1 minus the mean over classes of the soft Dice coefficient.

        (2 sum p y + smooth) / (sum p + sum y + smooth)

    p is the softmax (with one logit the sigmoid, and the foreground the only class), y the one-hot labels, and sums
    run over the pixels that count. With `squared`, p^2 and y^2 take the place of p and y below the line.

    Overlap is a matter of pixels, so weights per pixel are not factors here: a pixel of weight 0 does not count, as
    if ignored, every other one counts once. Weights per image `(batch,)` multiply the image's loss.

    Args:
        ignore_label: Label of the pixels to leave out, or None.
        smooth: Pixels added above and below, so that a class absent from image and prediction loses nothing.
        squared: Whether to square in the denominator, as Milletari et al. (V-Net, 2016) and mmsegmentation do.
        reduction: As in `keras.losses.Loss`, over the images of the batch.
        name: Name of the loss.

    Call arguments:
        y_true: Labels `(batch, height, width)`.
        y_pred: Logits `(batch, height, width, num_classes)`.
        sample_weight: Weights `(batch, height, width)` of the pixels or `(batch,)` of the images.

    Raises:
        ValueError: If the shapes do not go together, or `smooth` is negative.
    """

    def __init__(
        self,
        ignore_label: int | None = None,
        smooth: float = 1.0,
        squared: bool = False,
        reduction: str | None = MEAN,
        name: str = "dice",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        if smooth < 0:
            raise ValueError(f"Expected smooth of at least 0. Received smooth={smooth!r}.")
        self.ignore_label = ignore_label
        self.smooth = float(smooth)
        self.squared = bool(squared)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Soft Dice loss of the batch, reduced."""
        if sample_weight is None or len(sample_weight.shape) == 1:
            return super().__call__(y_true, y_pred, sample_weight)
        labels = sparse_labels(y_true, y_pred)
        unweighted = tf.equal(aligned_weights(sample_weight, y_pred), 0.0)
        return super().__call__(tf.where(unweighted, _WITHOUT_WEIGHT, labels), y_pred)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Soft Dice loss `(batch,)` of each image."""
        labels = sparse_labels(y_true, y_pred)
        counted = self._counted(labels, max(y_pred.shape[-1], 2))[..., tf.newaxis]
        probability, truth = _probabilities(y_pred) * counted, _one_hot(labels, y_pred) * counted
        overlap = _over_pixels(probability * truth)  # (batch, classes)
        if self.squared:
            probability, truth = tf.square(probability), tf.square(truth)
        size = _over_pixels(probability) + _over_pixels(truth)
        # Without `smooth` a class absent from image and prediction is 0 / 0: it loses nothing, as in the limit.
        empty = tf.equal(size + self.smooth, 0.0)
        dice = (2.0 * overlap + self.smooth) / tf.where(empty, 1.0, size + self.smooth)
        return 1.0 - tf.reduce_mean(tf.where(empty, 1.0, dice), axis=-1)

    def _counted(self, labels: tf.Tensor, classes: int) -> tf.Tensor:
        """1 at pixels that count, 0 at ignored ones, NaN where the label is no class."""
        ignored = is_ignored(labels, self.ignore_label) | tf.equal(labels, _WITHOUT_WEIGHT)
        return tf.where(ignored, 0.0, tf.where((labels >= 0) & (labels < classes), 1.0, float("nan")))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "ignore_label": self.ignore_label,
            "smooth": self.smooth,
            "squared": self.squared,
        }


def _probabilities(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(logits) if logits.shape[-1] > 1 else tf.nn.sigmoid(logits)


def _one_hot(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Labels `(batch, height, width, num_classes)`; with one logit the foreground alone."""
    if logits.shape[-1] > 1:
        return tf.one_hot(labels, logits.shape[-1])
    return tf.cast(labels == 1, tf.float32)[..., tf.newaxis]


def _over_pixels(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=(1, 2))
