"""`keras-unet predict` and `export`: the files they leave, and what is wrong with an image, a model or a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.command_line import mistake, run
from helpers.nets import load_once, skip_the_graph, skip_the_proof
from helpers.runs import tiny
from PIL import Image

import keras_unet as ku
from keras_unet import image_io
from keras_unet.commands.open_models import class_number
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.training.run_folder import RunFolder


def test_predict_writes_labels_probabilities_overlay_and_instances(net: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (33, 47)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "one.png")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([image] * 2), photometric="minisblack")
    out = tmp_path / "out"
    done = run("predict", net, tmp_path / "one.png", tmp_path / "stack.tif", "--out", out, "--instances")
    assert done.returncode == 0, done.stderr
    kinds = ("labels.png", "probabilities.tif", "overlay.png", "instances.tif")
    stems = ("one", "stack_0000", "stack_0001")
    assert {path.name for path in out.iterdir()} == {f"{stem}_{kind}" for stem in stems for kind in kinds}
    probabilities = tifffile.imread(out / "one_probabilities.tif")
    np.testing.assert_allclose(np.moveaxis(probabilities, 0, -1), ku.predict(load_once(net), image), atol=1e-5)
    np.testing.assert_array_equal(image_io.read_labels(out / "one_labels.png"), probabilities.argmax(axis=0))


def test_objects_of_one_class_are_numbered_and_a_class_that_is_none_is_refused(tmp_path: Path) -> None:
    model = ku.UNet((None, None, 1), num_classes=3, filters=2, depth=1)
    model.save(tmp_path / "net.keras")
    image = np.random.default_rng(2).integers(0, 255, (30, 40)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    done = run("predict", "net.keras", "a.png", "--instances", "--class", "2", "--threshold", "0.3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    chance = tifffile.imread(tmp_path / "predictions" / "a_probabilities.tif")[2]
    found = image_io.read_labels(tmp_path / "predictions" / "a_instances.tif")
    np.testing.assert_array_equal(found, InstanceSettings(0.3).find(chance))
    sentence = mistake("predict", "net.keras", "a.png", "--instances", "--class", "axon", cwd=tmp_path)
    assert "Expected --class among 1 (1), 2 (2). Received 'axon'." in sentence


def test_a_class_is_found_by_its_name_or_number(tmp_path: Path) -> None:
    run_folder = RunFolder(tmp_path / "run")
    run_folder.open(tiny())
    run_folder.report.write_text(json.dumps({"classes": ["background", "axon", "myelin"]}))
    assert [class_number(run_folder.path, wanted) for wanted in ("axon", "myelin", "1", "2")] == [1, 2, 1, 2]
    for wanted in ("background", "0", "3", "axons"):
        with pytest.raises(ValueError, match=r"Expected --class among axon \(1\), myelin \(2\). Received"):
            class_number(run_folder.path, wanted)


def test_exported_model_predicts_what_the_keras_file_predicts(net: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (21, 30)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "cells.png")
    done = run("export", net, "models/cells", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "largest difference from predict" in done.stdout
    assert (tmp_path / "models" / "cells" / "1" / "saved_model.pb").is_file()
    done = run("predict", "models/cells", "cells.png", "--out", "served", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    served = np.moveaxis(tifffile.imread(tmp_path / "served" / "cells_probabilities.tif"), 0, -1)
    np.testing.assert_allclose(served, ku.predict(load_once(net), image), atol=1e-4)


def test_averaging_is_chosen_in_prediction_and_fixed_in_export(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_the_graph(monkeypatch)
    skip_the_proof(monkeypatch)
    image = np.random.default_rng(1).integers(0, 255, (21, 30)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "cells.png")
    done = run("export", net, "models", "--tta", "flips", "--precision", "bfloat16", "--warm-up", "8x9", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Largest difference from float32" in done.stdout
    assert ku.export.read_description(tmp_path / "models" / "1")["averaging"] == "flips"
    done = run("predict", net, "cells.png", "--averaging", "flips", "--out", "averaged", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    averaged = np.moveaxis(tifffile.imread(tmp_path / "averaged" / "cells_probabilities.tif"), 0, -1)
    np.testing.assert_allclose(averaged, ku.predict(load_once(net), image, averaging="flips"), atol=1e-5)
    assert "fixed at export" in mistake("predict", "models", "cells.png", "--averaging", "flips", cwd=tmp_path)


def test_a_warm_up_size_that_is_none_is_wrong_use(net: Path, tmp_path: Path) -> None:
    done = run("export", net, tmp_path / "models", "--warm-up", "512")
    assert done.returncode == 2
    assert "Expected HEIGHTxWIDTH in pixels" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_file_that_fails_does_not_keep_the_others_from_being_segmented(net: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "c.png"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "b.png").write_text("no image")
    done = run("predict", net, tmp_path / "images", "--out", tmp_path / "out", "--instances")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("keras-unet: ")]
    assert "b.png: expected an image" in told[0]
    assert told[1] == "keras-unet: Expected to segment 3 files. Received 1 that could not be, told above."
    assert "Objects are components above 0.5, from 0 pixels on, expanded over gaps of up to 2 pixels." in done.stderr
    assert {path.stem[0] for path in (tmp_path / "out").iterdir()} == {"a", "c"}


def test_predict_names_what_is_wrong_with_an_image(net: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "colour.png")
    tifffile.imwrite(tmp_path / "nan.tif", np.full((9, 9), np.nan, np.float32))
    (tmp_path / "empty").mkdir()
    sentences = {
        "text.png": "text.png",
        "colour.png": "Expected 1 channel",
        "nan.tif": "NaN",
        "empty": "Expected a folder that holds images",
        "missing.png": "not found",
    }
    for name, sentence in sentences.items():
        assert sentence in mistake("predict", net, tmp_path / name, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_predict_names_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    assert "model.keras" in mistake("predict", tmp_path, tmp_path / "a.png", "--out", tmp_path / "out")
    assert "does not exist" in mistake("predict", tmp_path / "none", tmp_path / "a.png", "--out", tmp_path / "out")


def test_two_images_of_one_name_are_refused(net: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / folder / "cell.png")
    sentence = mistake("predict", net, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert "'cell' twice" in sentence


def test_results_do_not_mix_with_images_or_each_other(net: Path, tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((9, 9), np.uint8))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        image.save(tmp_path / folder / "cell.png")
    assert "another folder" in mistake("predict", net, tmp_path / "a", "--out", tmp_path / "a")
    assert "'cell' twice" in mistake("weight-map", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert "is a file" in mistake("predict", net, tmp_path / "a", "--out", net)
    assert not (tmp_path / "out").exists()


def test_a_damaged_export_and_a_damaged_report_are_named(net: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "models" / "1").mkdir(parents=True)
    (tmp_path / "models" / "1" / "saved_model.pb").write_bytes(b"no graph")
    arguments = (tmp_path / "a.png", "--out", tmp_path / "out", "--instances", "--threshold", "0.5")
    assert "damaged one" in mistake("predict", tmp_path / "models", *arguments)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(net.read_bytes())
    (tmp_path / "run" / "report.json").write_text("{")
    assert "report.json" in mistake("export", tmp_path / "run", tmp_path / "out")
