"""`keras-unet train` and `evaluate`: from a run to its figures, and the sentence for each mistake."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done, mistake, wrong_use
from helpers.stub_training import untrained
from PIL import Image

from keras_unet import image_io
from keras_unet.cli.tensorflow_start import import_tensorflow
from keras_unet.datasets.synthetic_cells import synthetic


def test_train_names_the_nearest_key_and_leaves_nothing(tmp_path: Path) -> None:
    sentence = wrong_use("train", "synthetic", "--out", tmp_path / "run", "--set", "training.stepz=3")
    assert "Unknown key training.stepz. Did you mean steps?" in sentence
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_the_configuration_file_is_no_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[training]\nsteps = 0\n")
    arguments = ("train", tmp_path / "mine.toml", "--out", tmp_path / "run")
    assert "training.steps: Expected" in mistake(*arguments, "--set", "training.seed=1")


def test_train_without_data_names_the_folder(tmp_path: Path) -> None:
    sentence = mistake("train", "isbi2012-small", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert "nowhere" in sentence
    assert not (tmp_path / "run").exists()


def test_train_evaluate_and_resume_refusal(tmp_path: Path) -> None:
    small = [
        "model.filters=2",
        "model.depth=1",
        "training.input_size=34",
        "training.steps=4",
        "optimizer.warmup_steps=0",
    ]
    small += ["data.options={count=4,size=48}", "training.validate_every=2", "model.padding=valid"]
    arguments = ["train", "synthetic", "--out", tmp_path / "run"]
    for change in small:
        arguments += ["--set", change]
    with untrained():
        said = done(*arguments)
    assert (tmp_path / "run" / "model.keras").is_file()
    assert "steps. Model of step" in said
    assert ", mean_iou of validation tiles 0." in said
    said = done("evaluate", tmp_path / "run", "--pictures", tmp_path / "pictures")
    assert "pixel error" in said
    assert f"1 picture in {tmp_path / 'pictures'}." in said
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1
    assert "trained on" not in said
    trained = synthetic(count=4, size=48)[0]
    image_io.write_image(tmp_path / "data" / "images" / "a.png", trained.image[..., 0])
    image_io.write_labels(tmp_path / "data" / "labels" / "a.png", trained.labels)
    said = done("evaluate", tmp_path / "run", "--data", tmp_path / "data", "--label-kind", "instances")
    assert "1 of these 1 images were trained on: expect less on others." in said
    assert "--overwrite" in mistake(*arguments)


def test_labels_without_an_object_can_be_evaluated_when_their_kind_is_told(net: Path, tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / folder / "a.png")
    assert "pixel accuracy" in done("evaluate", net, "--data", tmp_path, "--label-kind", "binary")


def test_figures_that_labels_do_not_allow_are_refused_in_a_sentence(net: Path, tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / folder / "a.png")
    arguments = ("evaluate", net, "--data", tmp_path, "--label-kind", "binary", "--metrics")
    assert "at least one object for v_rand. Received background alone" in mistake(*arguments, "v_rand")
    assert "a truth of instance ids for seg" in mistake(*arguments, "iou,seg")
    assert "Expected a run folder" in mistake("tune", net)


def test_results_of_another_size_are_named(tmp_path: Path) -> None:
    for folder, size in (("truth", 20), ("out", 19)):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.eye(size, dtype=np.uint8)).save(tmp_path / folder / "a.png")
    assert "a.png: expected the size of" in mistake("evaluate", tmp_path / "out", "--truth", tmp_path / "truth")


def test_training_turns_onednn_on_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "TF_ENABLE_ONEDNN_OPTS"
    monkeypatch.delenv(name, raising=False)
    import_tensorflow()
    assert name not in os.environ
    import_tensorflow(trains=True)
    assert os.environ[name] == "1"
    monkeypatch.setenv(name, "0")
    import_tensorflow(trains=True)
    assert os.environ[name] == "0"
