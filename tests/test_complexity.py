"""Multiply-adds, against figures worked out for the paper's net."""

import pytest
from helpers.nets import net

import keras_unet as ku
from keras_unet.models.complexity import describe, layer_costs, multiply_adds


@pytest.mark.parametrize(("size", "giga"), [(572, 150.4), (700, 246.6)])
def test_multiply_adds_of_the_papers_net(size: int, giga: float) -> None:
    model = net(filters=64, depth=4)
    assert multiply_adds(model, size, size) / 1e9 == pytest.approx(giga, abs=0.05)


def test_cost_of_a_small_net_by_hand() -> None:
    costs = {cost.name: cost for cost in layer_costs(ku.UNet((None, None, 2), filters=3, depth=1), 20, 18)}
    assert costs["down0_conv1"].multiply_adds == 18 * 16 * 9 * 2 * 3
    assert costs["up0_upconv"].multiply_adds == 4 * 3 * 4 * 6 * 3
    assert costs["logits"].parameters == 3 * 2 + 2


def test_description_names_parameters_sizes_and_range() -> None:
    text = describe(ku.UNet((None, None, 1), filters=2, depth=2, value_range=(0, 4095)), 44, 48)
    for part in ("44 x 48 -> 4 x 8", "44, 48, 52, …", "output = input - 40", "0 … 4095"):
        assert part in text


def test_illegal_size_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Nearest legal: 44 or 48"):
        describe(ku.UNet((None, None, 1), filters=2, depth=2), 45, 44)
