"""Initial weights: every feature map starts with mean 0 and variance 1, so no filter is dead."""

import keras
import numpy as np
import pytest
from helpers.nets import new_net

from keras_unet.models.initialization import unit_variance


def images(channels=1):
    return np.random.default_rng(0).normal(size=(2, 108, 108, channels)).astype(np.float32)


def feature_maps(model, kind):
    """Outputs of the layers of a kind, by name."""
    layers = [layer for layer in model.layers if isinstance(layer, kind) and layer.name != "logits"]
    probe = keras.Model(model.inputs[0], [layer.output for layer in layers])
    outputs = probe(images(model.channels), training=False)
    return {layer.name: np.asarray(output, np.float32) for layer, output in zip(layers, outputs, strict=True)}


@pytest.mark.parametrize(
    "arguments", [{}, {"padding": "same", "residual": True, "channels": 2}, {"upsampling": "bilinear", "dropout": 0.0}]
)
def test_each_feature_map_has_mean_0_and_variance_1(arguments):
    model = new_net(filters=8, value_range=(-1, 1), **arguments)
    head = model.get_layer("logits").get_weights()
    unit_variance(model, images(model.channels))
    for maps in feature_maps(model, keras.layers.Conv2D).values():
        np.testing.assert_allclose(maps.mean((0, 1, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(maps.std((0, 1, 2)), 1, atol=1e-3)
    if model.geometry.upsampling == "transposed":
        for maps in feature_maps(model, keras.layers.Conv2DTranspose).values():
            np.testing.assert_allclose(maps.std((0, 1, 2)), 1, atol=1e-3)
    for one, other in zip(head, model.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_filter_is_dead_where_random_weights_alone_leave_some():
    def dead(model):
        relus = feature_maps(model, keras.layers.ReLU)
        return sum(int((maps.max((0, 1, 2)) <= 0).sum()) for maps in relus.values())

    model = new_net(seed=3, filters=16, depth=3, value_range=(-1, 1))
    assert dead(model) > 0
    unit_variance(model, images())
    assert dead(model) == 0


def test_half_precision_and_normalised_nets_are_scaled_too():
    model = new_net(filters=8, dtype="mixed_bfloat16", value_range=(-1, 1))
    unit_variance(model, images())
    for maps in feature_maps(model, keras.layers.Conv2D).values():
        np.testing.assert_allclose(maps.std((0, 1, 2)), 1, atol=0.1)
    with_batch_norm = new_net(normalization="batch", value_range=(-1, 1))
    unit_variance(with_batch_norm, images())
    assert np.isfinite(with_batch_norm(images())).all()
