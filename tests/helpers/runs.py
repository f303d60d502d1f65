"""Runs that take seconds: generated images, configurations and trainers for the tests of training."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_unet as ku
from keras_unet.datasets import LabelledImages, Sample
from keras_unet.training.config import Config, config_from_dict
from keras_unet.training.trainer import Trainer


def cells(count: int = 3) -> LabelledImages:
    """Two bright squares that touch, on dark noise; one pixel of the image shows where they meet."""
    labels = np.zeros((32, 32), np.int32)
    labels[6:26, 4:16], labels[6:26, 16:28] = 1, 2
    samples = []
    for index in range(count):
        noise = np.random.default_rng(index).normal(0, 8, labels.shape)
        image = np.where(labels > 0, 180.0, 60.0) + noise
        image[6:26, 16] = 90
        samples.append(Sample(f"cells {index}", image[..., None].clip(0, 255).astype(np.uint8), labels))
    return LabelledImages(tuple(samples), "instances", 2, ("background", "cell"), None, ("Two squares.",))


def tiny(**changes: Any) -> Config:
    """A configuration that trains in seconds; `section_key=value` changes it."""
    values: dict[str, dict[str, Any]] = {
        "data": {"validate": "2"},
        "model": {"filters": 4, "depth": 1, "padding": "same", "dropout": 0.3},
        "optimizer": {"learning_rate": 0.01, "schedule": "cosine"},
        "training": {
            "steps": 6,
            "batch_size": 2,
            "input_size": 32,
            "seed": 3,
            "log_every": 2,
            "validate_every": 3,
            "checkpoint_every": 2,
            "steps_per_call": 2,
        },
    }
    for key, value in changes.items():
        section, name = key.split("_", 1)
        values.setdefault(section, {})[name] = value
    return config_from_dict(values)


def averaging(**changes: Any) -> Config:
    """A tiny configuration whose checkpoints hold all there is: averages too, and each update takes two batches."""
    return tiny(**{"optimizer_ema_decay": 0.5, "training_accumulate": 2, "training_batch_size": 1, **changes})


def quiet(line: str) -> None:
    """Says nothing."""


def noise(first: int = 0) -> tf.data.Dataset:
    """Endless batches, each a function of its number."""

    def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = tf.random.stateless_uniform((2, 16, 16, 1), tf.stack([7, number]), maxval=255.0)
        weight = tf.random.stateless_uniform((2, 16, 16), tf.stack([8, number]))
        return image, tf.cast(image[..., 0] > 128, tf.int32), weight

    return tf.data.Dataset.range(first, 1000, output_type=tf.int32).map(batch)


def tiny_trainer(optimizer: keras.optimizers.Optimizer | None = None, accumulate: int = 1, **model: Any) -> Trainer:
    """A net with weights from a seed; `model` are arguments of `UNet`."""
    keras.utils.set_random_seed(5)
    arguments = {"filters": 2, "depth": 1, "padding": "same", "dropout": 0.5, **model}
    net = ku.UNet((None, None, 1), **arguments)
    return Trainer(net, optimizer or keras.optimizers.Adam(0.01), ku.WeightedCrossentropy(), accumulate=accumulate)


def weights(model: keras.Model) -> np.ndarray:
    """All weights in one row."""
    return np.concatenate([np.asarray(variable).ravel() for variable in model.weights])
