"""The paper's network and its variants."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.models.unet import UNet

LAYERS = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)


def small(**changes: Any) -> UNet:
    return UNet(**{"input_shape": (None, None, 1), "filters": 4, "depth": 2, **changes})


@pytest.fixture(scope="module")
def paper() -> UNet:
    return UNet.from_preset("ronneberger2015")


def test_paper_net_has_23_convolutions_and_the_papers_parameters(paper: UNet) -> None:
    assert sum(isinstance(layer, LAYERS) for layer in paper.layers) == 23
    assert paper.count_params() == 31_030_658
    assert paper.output_shape == (None, 388, 388, 2)


@pytest.mark.parametrize(
    ("shape", "classes", "parameters"), [((572, 572, 3), 2, 31_031_810), ((572, 572, 1), 1, 31_030_593)]
)
def test_parameters_with_other_channels_and_classes(shape: tuple[int, int, int], classes: int, parameters: int) -> None:
    assert UNet(shape, classes).count_params() == parameters


def test_initial_weights_are_he_normal_with_the_fan_of_an_up_convolution(paper: UNet) -> None:
    for name, incoming in (("down1_conv2", 9 * 128), ("bottom_conv1", 9 * 512), ("up3_upconv", 1024)):
        kernel, bias = paper.get_layer(name).get_weights()
        assert kernel.std() == pytest.approx(np.sqrt(2 / incoming), rel=0.01)
        assert abs(kernel).max() > 2.5 * kernel.std(), "a truncated normal"
        assert not bias.any()


def test_each_layer_draws_its_own_weights() -> None:
    model = small()
    first, second = (model.get_layer(f"down1_{name}").get_weights()[0] for name in ("conv1", "conv2"))
    assert not np.allclose(first.ravel()[:20], second.ravel()[:20])


def test_dropout_sits_at_the_end_of_the_contracting_path(paper: UNet) -> None:
    dropped = {layer.name: layer.rate for layer in paper.layers if isinstance(layer, keras.layers.Dropout)}
    assert dropped == {"down3_dropout": 0.5, "bottom_dropout": 0.5}
    skip = paper.get_layer("up3_skip_crop").input
    assert skip is paper.get_layer("down3_dropout").output


def test_skips_are_centre_cropped_as_in_figure_1(paper: UNet) -> None:
    crops = [paper.get_layer(f"up{level}_skip_crop").cropping for level in range(4)]
    assert crops == [((n, n), (n, n)) for n in (88, 40, 16, 4)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"padding": "same"},
        {"upsampling": "bilinear"},
        {"upsampling": "bilinear", "padding": "same", "residual": True},
        {"normalization": "batch"},
        {"normalization": "group", "residual": True},
        {"num_classes": 1, "dropout": 0.0},
        {"num_classes": 5, "depth": 1},
        pytest.param({"input_shape": (None, None, 4), "depth": 3}, marks=pytest.mark.slow),
    ],
)
def test_open_nets_give_the_computed_size_and_train(changes: dict[str, Any]) -> None:
    model = small(**changes)
    height = model.geometry.covering_input_size(3)
    width = height + model.geometry.stride
    images = np.random.default_rng(0).uniform(0, 255, (2, height, width, model.channels)).astype("float32")
    shape = (2, *(model.geometry.output_size(n) for n in (height, width)), model.num_classes)
    assert model(images).shape == shape
    before = [w.numpy().copy() for w in model.trainable_weights]
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=ku.WeightedCrossentropy())
    model.fit(images, np.zeros(shape[:3], "int32"), verbose=0)
    assert all(not np.array_equal(b, w.numpy()) for b, w in zip(before, model.trainable_weights, strict=True))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_logits_and_rescaling_are_float32_under_every_policy(policy: str) -> None:
    model = small(dtype=policy, value_range=(32768, 33320))
    images = np.array([32768, 32769, 33320], "uint16").reshape(1, 1, 3, 1)
    scaled = model.get_layer("rescale")(images)
    assert scaled.dtype == "float32"
    np.testing.assert_allclose(np.ravel(scaled), [-1, -1 + 2 / 552, 1], atol=1e-5)
    assert model(np.zeros((1, 44, 44, 1))).dtype == "float32"
    assert model.get_layer("down0_conv1").compute_dtype == keras.DTypePolicy(policy).compute_dtype
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("changes", [{}, {"normalization": "batch", "residual": True, "dtype": "mixed_bfloat16"}])
def test_keras_file_gives_the_same_model_back(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = small(value_range=(3.0, 900.0), **changes)
    model.save(tmp_path / "net.keras")
    loaded = ku.load_model(tmp_path / "net.keras")
    image = np.random.default_rng(1).uniform(0, 900, (1, 48, 44, 1))
    np.testing.assert_array_equal(loaded(image), model(image))
    assert loaded.get_config() == model.get_config()
    assert loaded.value_range == (3.0, 900.0)


def test_batch_momentum_is_that_of_all_normalizations() -> None:
    norms = [layer for layer in small(normalization="batch", batch_momentum=0.9).layers if "norm" in layer.name]
    assert {layer.momentum for layer in norms} == {0.9}
    assert len(norms) == 10
    assert small().get_config()["batch_momentum"] == 0.99


def test_config_without_a_batch_momentum_is_that_of_an_earlier_file() -> None:
    config = small(normalization="batch").get_config()
    del config["batch_momentum"]
    assert UNet.from_config(config).get_layer("bottom_conv1_norm").momentum == 0.99


def test_config_holds_the_constructors_arguments() -> None:
    config = small(normalization="group").get_config()
    assert (config["filters"], config["depth"], config["normalization"]) == (4, 2, "group")
    assert UNet.from_config(config).get_config() == config


def test_integers_of_numpy_are_stored_as_plain_ones() -> None:
    numbers = {name: np.int64(value) for name, value in {"num_classes": 3, "filters": 2, "depth": 1}.items()}
    config = UNet((np.int64(20), None, np.int32(1)), **numbers).get_config()
    assert json.loads(json.dumps(config))["input_shape"] == [20, None, 1]
    assert (config["num_classes"], config["filters"], config["depth"]) == (3, 2, 1)


def test_loading_something_else_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"or a \.keras file. Received '.*none.keras', which does not exist"):
        ku.load_model(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("not an archive")
    with pytest.raises(ValueError, match="text.keras"):
        ku.load_model(tmp_path / "text.keras")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("note.txt", "no model")
    with pytest.raises(ValueError, match="empty.keras"):
        ku.load_model(tmp_path / "empty.keras")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"input_shape": (570, 572, 1)}, "Nearest legal: 556 or 572"),
        ({"input_shape": (572, 572)}, "Expected input_shape"),
        ({"input_shape": (572, 572, 0)}, "at least one channel"),
        ({"num_classes": 0}, "Expected num_classes of at least 1"),
        ({"num_classes": 2.0}, "Expected a whole number for num_classes. Received 2.0"),
        ({"num_classes": True}, "Expected a whole number for num_classes. Received True"),
        ({"filters": 64.0}, "Expected a whole number for filters. Received 64.0"),
        ({"input_shape": (572.0, 572, 1)}, "Expected a whole number for the input height. Received 572.0"),
        ({"input_shape": (572, 572, None)}, "Expected a whole number for the channels of input_shape"),
        ({"filters": 0}, "at least one filter"),
        ({"depth": 0}, "Expected a depth between 1 and 8"),
        ({"dropout": 1.0}, "Expected a dropout rate"),
        ({"batch_momentum": 1.0}, "Expected a batch_momentum"),
        ({"normalization": "layer"}, "Expected normalization"),
        ({"value_range": (5, 5)}, "low < high"),
        ({"value_range": (0, float("nan"))}, "low < high"),
        ({"padding": "reflect"}, 'Expected padding "valid" or "same"'),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        UNet(**arguments)


def test_open_net_refuses_an_illegal_tile_with_the_nearest_legal_sizes() -> None:
    with pytest.raises(ValueError, match="Received 50. Nearest legal: 48 or 52"):
        small()(np.zeros((1, 48, 50, 1)))


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="ronneberger2015"):
        UNet.from_preset("paper")


@pytest.mark.parametrize("filters", [4, pytest.param(64, marks=pytest.mark.slow)])
def test_paper_net_trains_a_step_and_predicts(filters: int) -> None:
    model = UNet.from_preset("ronneberger2015", input_shape=(188, 188, 1), filters=filters)
    model.compile(optimizer=keras.optimizers.SGD(1e-3, momentum=0.99), loss=ku.WeightedCrossentropy())
    image = np.random.default_rng(2).uniform(0, 255, (1, 188, 188, 1))
    before = model(image)
    model.fit(image, np.ones((1, 4, 4), "int32"), verbose=0)
    assert np.isfinite(model.predict(image, verbose=0)).all()
    assert not np.allclose(before, model(image))
