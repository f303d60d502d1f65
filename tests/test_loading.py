"""Models from files: by Keras' own loader in a fresh process, from a run folder, and files that are refused unbuilt."""

import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.models.keras_registration import CLASSES, PACKAGE, StandIn
from keras_unet.training.optimizers import CentralizedSGD, WarmUpAndDecay

FRESH = """
import sys
import keras_unet
assert not {"keras", "tensorflow"} & set(sys.modules)
import keras
for compiled in (False, True):
    model = keras.saving.load_model(sys.argv[1], compile=compiled)
    print(type(model).__module__, type(model).__name__, model.compiled)
image, label = keras.ops.zeros((1, 8, 8, 1)), keras.ops.zeros((1, 8, 8), "int32")
scores = model.evaluate(image, label, sample_weight=keras.ops.ones((1, 8, 8)), verbose=0, return_dict=True)
print(type(model.loss).__name__, float(model.optimizer.learning_rate), *sorted(scores))
"""


@pytest.mark.slow
def test_keras_loads_a_checkpoint_of_fit_in_a_fresh_process(tmp_path: Path) -> None:
    """With a layer, a loss, an optimizer, a schedule and metrics of ours, each named in the file."""
    model = ku.UNet((None, None, 1), filters=2, depth=1, padding="same", upsampling="bilinear")
    optimizer = CentralizedSGD(WarmUpAndDecay(0.5, 10))
    metrics = [ku.metrics.MeanIoU(2), ku.metrics.DiceCoefficient(2)]
    model.compile(optimizer, loss=ku.CrossentropyDice(), weighted_metrics=metrics)
    images, labels = np.zeros((1, 8, 8, 1), np.float32), np.zeros((1, 8, 8), np.int32)
    kept = keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")
    model.fit(images, labels, sample_weight=np.ones(labels.shape, np.float32), verbose=0, callbacks=[kept])

    done = subprocess.run([sys.executable, "-c", FRESH, tmp_path / "m.keras"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    bare, compiled, parts = done.stdout.splitlines()
    assert (bare, compiled) == ("keras_unet.models.unet UNet False", "keras_unet.models.unet UNet True")
    assert parts == "CrossentropyDice 0.5 dice loss mean_iou"


def test_the_table_names_each_class_that_keras_may_find_in_a_file() -> None:
    import keras_unet.training  # noqa: F401  is no folder of the package in a checkout

    for module in walk_packages(ku.__path__, "keras_unet."):
        if not module.name.startswith(("keras_unet.cli", "keras_unet.commands")):
            import_module(module.name)
    import_module("keras_unet.training.optimizers")
    registered = {name: value for name, value in keras.saving.get_custom_objects().items() if name.startswith(PACKAGE)}
    assert registered.keys() == {f"{PACKAGE}>{name}" for name in CLASSES}
    assert not any(isinstance(value, StandIn) for value in registered.values()), "a class takes its stand-in's place"
    for name, place in CLASSES.items():
        module, _, cls = place.rpartition(".")
        assert registered[f"{PACKAGE}>{name}"] is getattr(import_module(f"{PACKAGE}.{module}"), cls)


def test_a_run_folder_is_loaded_as_its_model(tmp_path: Path) -> None:
    model = ku.UNet((None, None, 1), filters=2, depth=1)
    model.save(tmp_path / "model.keras")
    image = np.ones((1, 44, 44, 1), np.float32)
    for path in (tmp_path, str(tmp_path), tmp_path / "model.keras"):
        np.testing.assert_array_equal(ku.load_model(path)(image), model(image))


def test_a_net_of_other_classes_keeps_all_weights_but_those_of_its_last_layer(tmp_path: Path) -> None:
    ku.UNet((None, None, 1), filters=2, depth=1, normalization="batch", value_range=(3, 9)).save(
        tmp_path / "model.keras"
    )
    model, five = ku.load_model(tmp_path), ku.load_model(tmp_path, num_classes=5)
    assert five.get_config() == {**model.get_config(), "num_classes": 5}
    assert five.output_shape[-1] == 5
    for layer in model.layers[:-1]:
        for one, other in zip(layer.weights, five.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_array_equal(ku.load_model(tmp_path, num_classes=2).weights[-2], model.weights[-2])
    with pytest.raises(ValueError, match="num_classes of at least 1. Received 0"):
        ku.load_model(tmp_path, num_classes=0)
    with pytest.raises(ValueError, match="Expected num_classes without compile=True. Received num_classes=5"):
        ku.load_model(tmp_path, compile=True, num_classes=5)


def test_a_folder_without_a_model_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Expected a run folder that holds model\.keras, .* without one"):
        ku.load_model(tmp_path)


def test_a_model_of_another_kind_is_refused_before_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")

    def build(*arguments: object, **options: object) -> None:
        raise AssertionError("Keras was asked to build it")

    monkeypatch.setattr(keras.saving, "load_model", build)
    with pytest.raises(ValueError, match=r"Expected a file that holds a UNet. Received a Sequential in .*other\.keras"):
        ku.load_model(tmp_path / "other.keras")


@pytest.mark.parametrize(
    "config", ["{", "[]", '"UNet"', "{}", '{"class_name": "UNet"', " " * 2**20 + "{}", "[" * 200_000]
)
def test_a_configuration_that_is_none_is_refused(config: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr("config.json", config)
    with pytest.raises(ValueError, match=r"Expected a \.keras file. Received '.*odd.keras', which is damaged"):
        ku.load_model(tmp_path / "odd.keras")


PATIENT = """
import importlib.util, threading, sys
{first}
import keras_unet
{second}
import keras
print(type(keras.saving.load_model(sys.argv[1], compile=False)).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "importlib.util.find_spec('keras')"),  # as libraries ask whether it is installed
        ("threading.Thread(target=__import__, args=['keras']).start()\nwhile 'keras' not in sys.modules: pass", ""),
    ],
)
def test_keras_may_be_looked_for_or_imported_by_a_thread(first: str, second: str, tmp_path: Path) -> None:
    ku.UNet((None, None, 1), filters=2, depth=1).save(tmp_path / "m.keras")
    code = PATIENT.format(first=first, second=second)
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.keras"], capture_output=True, text=True)
    assert done.stdout.strip() == "UNet", done.stderr[-2000:]
