"""The sum of weighted cross entropy and soft Dice."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_unet.losses.dice import Dice
from keras_unet.losses.pixel_labels import MEAN
from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy


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
        reduction: str | None = MEAN,
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
