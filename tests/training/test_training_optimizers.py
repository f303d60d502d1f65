"""Settings of the section `[optimizer]` reach the update rule: single updates and schedules, calculated by hand."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import new_net

from keras_unet.training.config import config_from_dict
from keras_unet.training.optimizers import WarmUpAndDecay, build_optimizer


def updated(
    start: list[float], gradients: list[list[float]], precision: str = "float32", **settings: Any
) -> list[float]:
    """A variable after an update with each of the gradients, of losses scaled as the optimizer asks for."""
    section = config_from_dict({"optimizer": {"learning_rate": 0.1, "momentum": 0.0, **settings}}).optimizer
    optimizer = build_optimizer(section, 10, precision)
    variable = keras.Variable(np.array(start, np.float32))
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply_gradients([(optimizer.scale_loss(tf.constant(gradient)), variable)])
    return np.asarray(variable).tolist()


@pytest.mark.parametrize(
    ("settings", "start", "gradients", "expected"),
    [
        ({"name": "sgd"}, [0.0], [[1.0], [2.0]], [-0.3]),
        ({"name": "sgd", "momentum": 0.9}, [0.0], [[1.0], [1.0]], [-0.1 - (0.09 + 0.1)]),
        ({"name": "sgd", "momentum": 0.9, "nesterov": True}, [0.0], [[1.0]], [-(0.9 * 0.1 + 0.1)]),
        ({"name": "sgd", "clip_norm": 1.0}, [0.0, 0.0], [[3.0, 4.0]], [-0.06, -0.08]),
        ({"name": "sgd", "clip_norm": 10.0}, [0.0, 0.0], [[3.0, 4.0]], [-0.3, -0.4]),
        ({"name": "sgd", "weight_decay": 0.5}, [2.0], [[0.0]], [2.0 - 0.1 * 0.5 * 2.0]),
        ({"name": "adam"}, [0.0, 0.0], [[5.0, -0.3]], [-0.1, 0.1]),
        ({"name": "adam", "weight_decay": 0.5}, [2.0], [[1.0]], [2.0 - 0.1 * 0.5 * 2.0 - 0.1]),
        ({"name": "adamw", "weight_decay": 0.5}, [2.0], [[1.0]], [2.0 - 0.1 * 0.5 * 2.0 - 0.1]),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_an_update_is_the_one_calculated_by_hand(
    settings: dict[str, Any], start: list[float], gradients: list[list[float]], expected: list[float], precision: str
) -> None:
    """With float16 too, whose scaled gradients are brought back before they are clipped."""
    assert updated(start, gradients, precision, **settings) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_weight_decay_leaves_biases_and_normalizations_alone(name: str, precision: str) -> None:
    """A gradient of 0: kernels shrink by 0.1 * 0.5, all else stays."""
    section = config_from_dict({"optimizer": {"name": name, "learning_rate": 0.1, "weight_decay": 0.5}}).optimizer
    optimizer = build_optimizer(section, 10, precision)
    variables = new_net(normalization="batch").trainable_variables
    names = {variable.name for variable in variables}
    assert names == {"kernel", "bias", "gamma", "beta"}
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer.build(variables)
    optimizer.apply_gradients([(tf.zeros(variable.shape), variable) for variable in variables])
    for variable in variables:
        expected = 0.95 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_filters_updates_have_a_mean_of_zero_over_its_inputs(name: str, precision: str) -> None:
    """With gradients that are all positive, as behind a ReLU; the filters' biases follow theirs."""
    section = config_from_dict({"optimizer": {"name": name, "learning_rate": 0.1, "weight_decay": 0.0}}).optimizer
    random = np.random.default_rng(0)
    variables = new_net(depth=1).trainable_variables
    before = {variable.path: variable.numpy() for variable in variables}
    optimizer = build_optimizer(section, 10, precision)
    optimizer.build(variables)
    for _ in range(2):
        gradients = [random.uniform(1.0, 9.0, variable.shape).astype(np.float32) for variable in variables]
        optimizer.apply_gradients(zip(map(optimizer.scale_loss, gradients), variables, strict=True))
    for variable in variables:
        update = variable.numpy() - before[variable.path]
        if variable.path.endswith("bias"):
            assert (update < 0).all()
            continue
        axes = 3 if "upconv" in variable.path else (0, 1, 2)
        assert update.any()
        np.testing.assert_allclose(update.mean(axis=axes), 0.0, atol=1e-6)


def test_a_filter_of_one_input_follows_its_gradient() -> None:
    """Such as the shortcut of the first residual block on gray images."""
    section = config_from_dict({"optimizer": {"name": "sgd", "momentum": 0.0, "learning_rate": 0.1}}).optimizer
    variable = keras.Variable(np.zeros((1, 1, 1, 4), np.float32))
    optimizer = build_optimizer(section, 10)
    optimizer.build([variable])
    optimizer.apply_gradients([(tf.ones(variable.shape), variable)])
    np.testing.assert_allclose(variable.numpy(), -0.1, rtol=1e-6)


def test_updates_that_are_not_centralized_are_those_of_keras() -> None:
    section = config_from_dict({"optimizer": {"name": "adam", "learning_rate": 0.1, "centralize": False}}).optimizer
    variable = keras.Variable(np.zeros((3, 3, 2, 2), np.float32))
    optimizer = build_optimizer(section, 10)
    optimizer.build([variable])
    optimizer.apply_gradients([(tf.ones(variable.shape), variable)])
    np.testing.assert_allclose(variable.numpy(), -0.1, rtol=1e-5)


def test_decay_and_warm_up_are_those_of_the_run() -> None:
    """A cosine over 10 steps after 2 of rise: 0.05, 0.1, then from 0.1 down."""
    section = config_from_dict(
        {"optimizer": {"name": "sgd", "momentum": 0.0, "learning_rate": 0.1, "schedule": "cosine", "warmup_steps": 2}}
    ).optimizer
    optimizer, variable = build_optimizer(section, 10), keras.Variable(np.zeros(1, np.float32))
    optimizer.build([variable])
    values = [0.0]
    for _ in range(10):
        optimizer.apply_gradients([(tf.ones(1), variable)])
        values.append(float(np.asarray(variable)[0]))
    falling = [0.05 * (1 + np.cos(np.pi * step / 8)) for step in range(8)]
    assert -np.diff(values) == pytest.approx([0.05, 0.1, *falling], abs=1e-6)


def test_schedules_reach_their_figures() -> None:
    """mmsegmentation's poly, (0.01 - 1e-4) (1 - t/T)^0.9 + 1e-4; half a cosine after a linear rise."""
    poly = WarmUpAndDecay(0.01, 40000, "poly", end=1e-4, power=0.9)
    for step in (0, 10000, 39999, 40000):
        assert float(poly(step)) == pytest.approx((0.01 - 1e-4) * (1 - step / 40000) ** 0.9 + 1e-4, rel=1e-4)
    cosine = WarmUpAndDecay(1.0, 110, "cosine", warmup_steps=10)
    expected = [0.1, 1.0, 1.0, 0.5 * (1 + np.cos(np.pi / 4)), 0.5, 0.0]
    assert [float(cosine(step)) for step in (0, 9, 10, 35, 60, 110)] == pytest.approx(expected, abs=1e-6)
    assert float(WarmUpAndDecay(0.3, 10)(10)) == pytest.approx(0.3)
    again = WarmUpAndDecay.from_config(cosine.get_config())
    assert float(again(35)) == float(cosine(35))
    with pytest.raises(ValueError, match="Received \"?'?cosin"):
        WarmUpAndDecay(0.1, 10, "cosin")
