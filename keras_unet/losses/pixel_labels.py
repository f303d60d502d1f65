"""Labels and weights of pixels as losses and metrics take them.

Shapes: labels `(batch, height, width)` or `(batch, height, width, 1)`, integers; logits `(batch, height, width,
num_classes)`. One logit means two classes and a sigmoid: label 1 is the foreground. Weights per pixel
`(batch, height, width)`, such as `keras_unet.weight_map`, and weights per image `(batch,)` come in as Keras'
`sample_weight`, the third part of what a data set yields. All is computed in float32.

A label that is neither a class nor the ignored one makes the loss NaN (on the CPU TensorFlow may raise instead).
"""

from typing import Any

import tensorflow as tf

MEAN = "sum_over_batch_size"
"""Keras' name of the reduction that all losses have by default."""


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


def is_ignored(labels: tf.Tensor, ignore_label: int | None) -> tf.Tensor:
    """Boolean `(batch, height, width)`: the pixels to leave out."""
    return tf.zeros_like(labels, tf.bool) if ignore_label is None else tf.equal(labels, ignore_label)
