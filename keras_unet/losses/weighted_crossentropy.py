"""Losses from logits and sparse labels: weighted cross entropy (equation 1), soft Dice and their sum.

Shapes: labels `(batch, height, width)` or `(batch, height, width, 1)`, integers; logits `(batch, height, width,
num_classes)`. One logit means two classes and a sigmoid: label 1 is the foreground. Weights per pixel
`(batch, height, width)`, such as `keras_unet.weight_map`, and weights per image `(batch,)` come in as Keras'
`sample_weight`, the third part of what a data set yields. All is computed in float32.

A label that is neither a class nor the ignored one makes the loss NaN (on the CPU TensorFlow may raise instead).
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

_MEAN = "sum_over_batch_size"

# A label of no data set: it says that a pixel's weight is 0.
_WITHOUT_WEIGHT = -(2**20)


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
        reduction: str | None = _MEAN,
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
        ignored = _is_ignored(labels, self.ignore_label)
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
        reduction: str | None = _MEAN,
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
        ignored = _is_ignored(labels, self.ignore_label) | tf.equal(labels, _WITHOUT_WEIGHT)
        return tf.where(ignored, 0.0, tf.where((labels >= 0) & (labels < classes), 1.0, float("nan")))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "ignore_label": self.ignore_label,
            "smooth": self.smooth,
            "squared": self.squared,
        }


@keras.saving.register_keras_serializable(package="keras_unet")
class CrossentropyDice(keras.losses.Loss):
    """The sum of `WeightedCrossentropy` and `Dice`, each with a factor and each reduced on its own.

    A weight map `(batch, height, width)` multiplies the cross entropy of the pixels; Dice leaves out pixels of
    weight 0. Weights `(batch,)` multiply both.

    Args:
        crossentropy_weight: Factor of the cross entropy.
        dice_weight: Factor of soft Dice.
        ignore_label: Label of the pixels to leave out of both, or None.
        class_weights: One weight per class, for the cross entropy.
        smooth: See `Dice`.
        squared: See `Dice`.
        reduction: As in `keras.losses.Loss`. With `"none"` each pixel holds its cross entropy plus its image's Dice
            loss, so that the mean over pixels is the loss.
        name: Name of the loss.

    Call arguments:
        y_true: Labels `(batch, height, width)`.
        y_pred: Logits `(batch, height, width, num_classes)`.
        sample_weight: Weights `(batch, height, width)` of the pixels or `(batch,)` of the images.

    Raises:
        ValueError: If the shapes do not go together, or a factor is negative.
    """

    def __init__(
        self,
        crossentropy_weight: float = 1.0,
        dice_weight: float = 1.0,
        ignore_label: int | None = None,
        class_weights: Sequence[float] | None = None,
        smooth: float = 1.0,
        squared: bool = False,
        reduction: str | None = _MEAN,
        name: str = "crossentropy_dice",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        if min(crossentropy_weight, dice_weight) < 0:
            raise ValueError(f"Expected factors of at least 0. Received {crossentropy_weight!r} and {dice_weight!r}.")
        self.crossentropy_weight = float(crossentropy_weight)
        self.dice_weight = float(dice_weight)
        self.crossentropy = WeightedCrossentropy(ignore_label, class_weights, reduction)
        self.dice = Dice(ignore_label, smooth, squared, reduction)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Sum of the two losses of the batch, each reduced."""
        crossentropy = self.crossentropy(y_true, y_pred, sample_weight)
        dice = self.dice(y_true, y_pred, sample_weight)
        if len(dice.shape) == 1:
            dice = dice[:, tf.newaxis, tf.newaxis]  # (batch, 1, 1) beside (batch, height, width)
        return self.crossentropy_weight * crossentropy + self.dice_weight * dice

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **self.dice.get_config(),
            **self.crossentropy.get_config(),
            **super().get_config(),
            "crossentropy_weight": self.crossentropy_weight,
            "dice_weight": self.dice_weight,
        }


def sparse_labels(y_true: Any, y_pred: Any) -> tf.Tensor:
    """Labels as int32 `(batch, height, width)`, checked against the logits.

    Args:
        y_true: Labels `(batch, height, width)` or `(batch, height, width, 1)` of any number type.
        y_pred: Logits `(batch, height, width, num_classes)`.

    Raises:
        ValueError: If the shapes do not go together.
    """
    logits, labels = tf.TensorShape(y_pred.shape), tf.TensorShape(y_true.shape)
    if logits.rank != 4:
        raise ValueError(f"Expected logits (batch, height, width, num_classes). Received shape {logits}.")
    pixels = logits[:-1]
    if not (labels.is_compatible_with(pixels) or labels.is_compatible_with(pixels.concatenate(1))):
        raise ValueError(f"Expected labels {pixels}, one for each pixel of the logits. Received shape {labels}.")
    flat = tf.cast(y_true, tf.int32)
    return tf.squeeze(flat, axis=-1) if labels.rank == 4 else flat


def aligned_weights(sample_weight: Any, y_pred: Any) -> tf.Tensor | None:
    """Weights in a shape that broadcasts to `(batch, height, width)`.

    Keras would let weights per image `(batch,)` broadcast along the width.

    Raises:
        ValueError: If the weights are neither one per pixel nor one per image.
    """
    if sample_weight is None:
        return None
    weights = tf.cast(sample_weight, tf.float32)
    pixels = tf.TensorShape(y_pred.shape)[:-1]
    if weights.shape.rank == 1 and weights.shape.is_compatible_with(pixels[:1]):
        return weights[:, tf.newaxis, tf.newaxis]
    if weights.shape.is_compatible_with(pixels):
        return weights
    if weights.shape.is_compatible_with(pixels.concatenate(1)):
        return tf.squeeze(weights, axis=-1)
    raise ValueError(f"Expected sample_weight {pixels}, one per pixel, or (batch,). Received shape {weights.shape}.")


def _is_ignored(labels: tf.Tensor, ignore_label: int | None) -> tf.Tensor:
    return tf.zeros_like(labels, tf.bool) if ignore_label is None else tf.equal(labels, ignore_label)


def _crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy `(batch, height, width)` of each pixel."""
    if logits.shape[-1] > 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    truth = tf.where((labels == 0) | (labels == 1), tf.cast(labels, tf.float32), float("nan"))
    return tf.nn.sigmoid_cross_entropy_with_logits(truth, logits[..., 0])


def _probabilities(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(logits) if logits.shape[-1] > 1 else tf.nn.sigmoid(logits)


def _one_hot(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Labels `(batch, height, width, num_classes)`; with one logit the foreground alone."""
    if logits.shape[-1] > 1:
        return tf.one_hot(labels, logits.shape[-1])
    return tf.cast(labels == 1, tf.float32)[..., tf.newaxis]


def _over_pixels(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=(1, 2))
