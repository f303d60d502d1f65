"""The recipes of docs/training.md for use from Python, at the size of a stamp."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.stub_training import stubbed

import keras_unet as ku
from keras_unet import training
from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.pipeline.examples import prepare
from keras_unet.pipeline.tile_datasets import training_dataset

TILE = 32


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return ku.UNet((None, None, 1), filters=2, depth=1, padding="same", dropout=0.0, value_range=(0.0, 255.0))


def weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [np.array(weight) for weight in layer.weights]


def test_our_loss_on_a_data_set_of_ones_own(model: keras.Model) -> None:
    """A generator of instance ids; cells and the gap between them are learned."""
    rng = np.random.default_rng(0)

    def samples() -> object:
        for _ in range(64):
            label = np.zeros((TILE, TILE), np.int32)
            label[8:24, 6:16], label[8:24, 16:26] = 1, 2
            image = np.where(label > 0, 180.0, 60.0) + rng.normal(0, 5, label.shape)
            classes = (ku.separation_border(label) > 0).astype(np.int32)
            yield image[..., None].astype(np.float32), classes, ku.weight_map(label)

    plane = (TILE, TILE)
    signature = (
        tf.TensorSpec((*plane, 1), tf.float32),
        tf.TensorSpec(plane, tf.int32),
        tf.TensorSpec(plane, tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(samples, output_signature=signature).batch(4).repeat()
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=ku.WeightedCrossentropy())
    losses = model.fit(dataset, steps_per_epoch=16, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_our_augmentation_in_a_map_of_ones_own() -> None:
    """Image and label stay together, each element is varied by its own seed, again and again the same."""
    label = np.zeros((48, 48), np.int32)
    label[12:36, 12:36] = 1
    image = (label * 200)[..., None].astype(np.uint8)
    settings = ku.augment.AugmentationSettings(elastic_sigma=2.0, brightness=0, contrast=0, gamma=0, noise=0)
    augment = ku.augment.TileAugmenter(settings, input_size=(TILE, TILE))

    def vary(number: tf.Tensor, sample: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        one_image, one_label, weight = sample
        return augment(one_image, one_label, weight, centre=(23.5, 23.5), seed=tf.stack([7, number]))

    repeated = tf.data.Dataset.from_tensors((image, label, np.ones(label.shape, np.float32))).repeat(3)
    dataset = repeated.enumerate().map(vary, num_parallel_calls=tf.data.AUTOTUNE)
    once, again = list(dataset.as_numpy_iterator()), list(dataset.as_numpy_iterator())
    for (varied, classes, _), (same, *_) in zip(once, again, strict=True):
        np.testing.assert_array_equal(varied, same)
        assert ((varied[..., 0] > 100) == (classes == 1)).mean() > 0.97
    assert not np.array_equal(once[0][0], once[1][0])


def test_fine_tuning_with_a_frozen_contracting_path(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    tuned = ku.load_model(tmp_path / "model.keras")
    for layer in tuned.layers:
        layer.trainable = layer.name.startswith(("up", "logits"))
    tuned.compile(optimizer=keras.optimizers.Adam(1e-2), loss=ku.WeightedCrossentropy())
    data = training_dataset(prepare(synthetic(2, 48)), tuned.geometry, TILE, batch_size=2)
    before = {layer.name: weights(layer) for layer in tuned.layers if layer.weights}
    tuned.fit(data, steps_per_epoch=2, verbose=0)
    moved = {
        name
        for name, old in before.items()
        if any(not np.array_equal(a, b) for a, b in zip(old, weights(tuned.get_layer(name)), strict=True))
    }
    assert moved == {name for name in before if name.startswith(("up", "logits"))}
    assert {name for name in before if name.startswith(("down", "bottom"))}


def test_a_search_over_the_configuration(tmp_path: Path) -> None:
    tiny = {
        "data.options": "{count = 3, size = 48, seed = 0}",
        "model.filters": 2,
        "model.depth": 1,
        "training.steps": 2,
        "training.input_size": 32,
        "optimizer.warmup_steps": 0,
    }
    scores = {}
    for rate in (1e-2, 1e-5):
        changes = [f"{key}={value}" for key, value in tiny.items()]
        config = training.load_config("synthetic", [*changes, f"optimizer.learning_rate={rate}"])
        with stubbed():
            report = training.run(config, tmp_path / str(rate), say=lambda line: None)
        scores[rate] = report["validation"]["mean_iou"]
        assert training.load_config(tmp_path / str(rate) / "config.toml").optimizer.learning_rate == rate
    assert all(0 <= score <= 1 for score in scores.values())
