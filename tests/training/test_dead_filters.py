"""Dead filters are counted, logged at every validation and told of in one sentence."""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.nets import new_net
from helpers.runs import cells, tiny
from helpers.stub_training import StubTrainer

from keras_unet import training
from keras_unet.models.unet import UNet
from keras_unet.training.dead_filters import DeadFilters, advice, columns
from keras_unet.training.monitoring import CsvLog

DARK, BRIGHT = np.zeros((2, 16, 16, 1), np.float32), np.full((1, 16, 16, 1), 255, np.float32)


def net_of_biases() -> UNet:
    """Four and eight filters; every activation is its filter's bias, 1."""
    net = new_net(filters=4, depth=1, padding="same", dropout=0.0)
    for layer in net.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            kernel, bias = layer.get_weights()
            layer.set_weights([np.zeros_like(kernel), np.ones_like(bias)])
    return net


def test_the_share_of_a_level_is_that_of_its_worse_layer() -> None:
    net = net_of_biases()
    net.get_layer("down0_conv1").bias.assign([-1, 1, 1, 1])
    net.get_layer("down0_conv2").bias.assign([-1, 0, -1, 1])
    net.get_layer("bottom_conv2").bias.assign([-1] * 8)
    assert DeadFilters(net)(DARK) == {"dead_down0": 0.75, "dead_bottom": 1.0, "dead_up0": 0.0}


def test_a_filter_lives_if_it_is_above_0_in_one_tile_and_weights_are_those_of_the_moment() -> None:
    """Pixels are -1 where dark and 1 where bright; the filters give twice that minus 1."""
    net = net_of_biases()
    find, layer = DeadFilters(net), net.get_layer("down0_conv1")
    assert find(DARK)["dead_up0"] == 0.0
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[1, 1, 0, :2] = 2.0
    layer.set_weights([kernel, np.array([-1, -1, 1, 1], np.float32)])
    assert find(DARK)["dead_down0"] == 0.5
    assert find([*DARK, *BRIGHT])["dead_down0"] == 0.0


def test_columns_are_the_levels_of_the_net() -> None:
    assert columns(2) == ("dead_down0", "dead_down1", "dead_bottom", "dead_up1", "dead_up0")
    assert set(DeadFilters(new_net(padding="same", residual=True, normalization="batch"))(DARK)) == set(columns(2))


def test_advice_names_levels_of_which_three_quarters_are_dead() -> None:
    assert advice({"loss": 1.0, "dead_down3": 0.74}) == ""
    assert "validation tiles: 75% of down3, 100% of bottom. They" in advice({"dead_down3": 0.75, "dead_bottom": 1.0})


def test_each_validation_is_logged_and_the_user_is_told_once_and_at_the_end(
    stub_training: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four validations, of which all but the first find a dead level."""
    shares = iter([0.5, 0.8, 0.9, 1.0])
    monkeypatch.setattr(StubTrainer, "dead_filters", lambda self, tiles: {"dead_bottom": next(shares)})
    said: list[str] = []
    training.run(tiny(training_steps=12), tmp_path / "run", data=cells(), say=said.append)
    with open(tmp_path / "run" / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["step"]: line["dead_bottom"] for line in lines if line["dead_bottom"]} == {
        "3": "0.5",
        "6": "0.8",
        "9": "0.9",
        "12": "1",
    }
    assert list(lines[0])[-3:] == ["dead_down0", "dead_bottom", "dead_up0"]
    told = [line.partition("tiles: ")[2].partition(".")[0] for line in said if line.startswith("Dead filters")]
    assert told == ["80% of bottom", "100% of bottom"]


def test_the_log_of_a_run_without_these_columns_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    CsvLog(path).write({"step": 2, "loss": 0.5})
    CsvLog(path, 2, columns(1)).write({"step": 4, "loss": 0.25, "dead_up0": 0.125})
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["loss"], line["dead_up0"]) for line in lines] == [("0.5", ""), ("0.25", "0.125")]
