"""Runs that start from a trained net: which weights and pixels they take, what they record, what they refuse."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers import runs
from helpers.nets import new_net
from helpers.resumed_runs import assert_same_run, run_until_killed
from helpers.runs import cells, quiet, weights

import keras_unet as ku
from keras_unet import training
from keras_unet.training.config import ConfigError
from keras_unet.training.data_split import split
from keras_unet.training.distribution import Workers
from keras_unet.training.run_folder import RunFolder
from keras_unet.training.run_summary import summarize
from keras_unet.training.starting_net import find_start, remarks
from keras_unet.training.training_run import build_trainer

ONE = Workers(tf.distribute.get_strategy())

tiny = partial(runs.tiny, model_pixel_normalization="range")
averaging = partial(runs.averaging, model_pixel_normalization="range")


def saved(path: Path, **changes: Any) -> Path:
    """A net of the tiny configuration's architecture, but for some arguments, trained by nobody."""
    arguments = {"seed": 11, "filters": 4, "depth": 1, "padding": "same", "value_range": (20.0, 220.0), **changes}
    new_net(**arguments).save(path)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("nets") / "net.keras")


def started(config: Any, strategy: tf.distribute.Strategy | None = None) -> ku.UNet:
    """The net that a run of the configuration begins with."""
    model: Any = build_trainer(config, cells(), strategy, find_start(config, ONE)).model
    return model


@pytest.mark.parametrize("strategy", [None, "mirrored"])
def test_a_run_begins_with_all_weights_and_the_pixels_of_the_net(file: Path, strategy: str | None) -> None:
    mirrored = tf.distribute.MirroredStrategy(["CPU:0"]) if strategy else None
    model, source = started(tiny(training_start_from=str(file)), mirrored), ku.load_model(file)
    np.testing.assert_array_equal(weights(model), weights(source))
    assert model.value_range == (20, 220)
    assert model.training_tile == (32, 32)


def test_of_other_classes_the_head_is_that_of_the_seed(tmp_path: Path) -> None:
    path = saved(tmp_path / "five.keras", num_classes=5, dropout=0.0)
    fresh, source = build_trainer(tiny(), cells()).model, ku.load_model(path)
    model = started(tiny(training_start_from=str(path)))
    for layer in model.layers:
        expected = (fresh if layer.name == "logits" else source).get_layer(layer.name) if layer.weights else layer
        for one, other in zip(layer.weights, expected.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=layer.name)


def test_a_range_of_the_configuration_takes_the_place_of_the_nets(file: Path) -> None:
    config = tiny(training_start_from=str(file), model_value_range=[0, 4000])
    assert started(config).value_range == (0, 4000)


@pytest.mark.parametrize(
    ("normalization", "named"), [("image", "image"), (((120.0,), (30.0,)), "data"), ("range", "range")]
)
def test_pixels_are_normalised_as_by_the_net(tmp_path: Path, normalization: Any, named: str) -> None:
    path = saved(tmp_path / "net.keras", pixel_normalization=normalization)
    config = tiny(training_start_from=str(path), model_pixel_normalization=named)
    assert started(config).pixel_normalization == normalization
    other = "image" if named == "data" else "data"
    remedy = f'Received one with "{named}", .*net.keras: choose another net, or --set model.pixel_normalization={named}'
    with pytest.raises(ConfigError, match=f'Expected a net with pixel_normalization "{other}". {remedy}'):
        started(tiny(training_start_from=str(path), model_pixel_normalization=other))


@pytest.mark.slow
def test_a_run_that_started_from_a_net_is_resumed_without_it_and_ends_like_one_that_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "net.keras")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    config, said = averaging(training_start_from=str(path)), []
    whole = training.run(config, tmp_path / "whole", data=cells(), say=quiet)
    run_until_killed(config, tmp_path / "run", monkeypatch)
    path.unlink()
    report = training.run(config, tmp_path / "run", data=cells(), say=said.append)
    assert "Resuming at step 4 of 6." in said
    assert_same_run((tmp_path / "whole", whole), (tmp_path / "run", report))
    assert ku.load_model(tmp_path / "run").value_range == (20, 220)
    start = {"path": str(path), "sha256": digest, "pixels": {"value_range": [20, 220], "pixel_normalization": "range"}}
    for name in ("provenance.json", "report.json"):
        assert json.loads((tmp_path / "run" / name).read_text())["start"] == start
    assert f"start     weights of {path}" in summarize(RunFolder(tmp_path / "run")).splitlines()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"channels": 3},
            r"Expected a net for images of 1 channel, as these are. Received one for 3 channels, .*keras",
        ),
        (
            {"filters": 2, "normalization": "batch"},
            r"Expected a net with filters 4, normalization none. Received one with filters 2, normalization batch, "
            r".*: choose another net, or --set model.filters=2 --set model.normalization=batch.",
        ),
        ({"depth": 2, "residual": True}, r"--set model.depth=2 --set model.residual=true\."),
    ],
    ids=["channels", "filters", "depth"],
)
def test_a_net_of_another_architecture_is_refused_with_what_differs(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    config = tiny(training_start_from=str(saved(tmp_path / "other.keras", **changes)))
    with pytest.raises(ConfigError, match=f"training.start_from: .*{sentence}"):
        training.run(config, tmp_path / "run", data=cells(), say=quiet)
    assert not (tmp_path / "run").exists()


def test_the_settings_that_a_refusal_names_make_it_fit(tmp_path: Path) -> None:
    path = saved(tmp_path / "other.keras", depth=2, residual=True)
    model = started(tiny(training_start_from=str(path), model_depth=2, model_residual=True))
    np.testing.assert_array_equal(weights(model), weights(ku.load_model(path)))


def test_what_is_no_net_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.keras").write_text("no net")
    for name, sentence in (("none.keras", "which does not exist"), ("notes.keras", "damaged or something else")):
        with pytest.raises(ConfigError, match=f"training.start_from: Expected a .*{name}.*{sentence}"):
            training.run(tiny(training_start_from=str(tmp_path / name)), tmp_path / "run", data=cells(), say=quiet)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_start_from_what_it_overwrites(stub_training: None, tmp_path: Path) -> None:
    training.run(tiny(), tmp_path, data=cells(), say=quiet)
    shutil.copy(saved(tmp_path.parent / "net.keras"), tmp_path / "model.keras")
    with pytest.raises(ConfigError, match="Expected a net outside of the run's folder"):
        training.run(tiny(training_start_from=str(tmp_path)), tmp_path, True, data=cells(), say=quiet)


def test_a_run_without_a_checkpoint_begins_again_with_the_same_file_alone(stub_training: None, tmp_path: Path) -> None:
    path = saved(tmp_path / "net.keras")
    config, folder = tiny(training_start_from=str(path)), tmp_path / "run"
    training.run(config, folder, data=cells(), say=quiet)
    (folder / "report.json").unlink()
    shutil.rmtree(folder / "checkpoints")
    training.run(config, folder, data=cells(), say=quiet)
    (folder / "report.json").unlink()
    shutil.rmtree(folder / "checkpoints")
    saved(path, seed=12)
    with pytest.raises(ConfigError, match="Expected the file that the run began with, .* which has changed"):
        training.run(config, folder, data=cells(), say=quiet)


def test_the_user_is_told_of_pixels_and_of_validation_images_that_the_net_has_seen(
    stub_training: None, tmp_path: Path
) -> None:
    training.run(tiny(), tmp_path, data=cells(), say=quiet)  # on images 0 and 1
    shutil.copy(saved(tmp_path.parent / "wide.keras", value_range=(0, 4095)), tmp_path / "model.keras")
    config = tiny(training_start_from=str(tmp_path), data_validate="0")
    parts = split(cells(), config.data)
    low, high = parts.train.value_range
    assert remarks(find_start(config, ONE), parts) == [
        f"Starting from the weights of {tmp_path / 'model.keras'}, a net of 2 classes.",
        f"Pixels of 0 … 4095 are mapped to -1 … 1, as its weights expect; these data have {low:g} … {high:g}.",
        f"Ranges that differ so much may need --set model.value_range=[{low:g},{high:g}], which maps the range of "
        "these data instead.",
        "That net was trained on 1 of these validation images: expect less on others. They are cells 0.",
    ]
