"""Run folders: what a run leaves behind, which folders it refuses, and what is read from them later."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.runs import averaging, cells, quiet, tiny

import keras_unet as ku
from keras_unet import training
from keras_unet.training.config import ConfigError, config_from_dict
from keras_unet.training.run_folder import RunFolder

RUN_FILES = ["checkpoints", "config.toml", "data.txt", "log.csv", "model.keras", "provenance.json", "report.json"]
RUN_FILES += ["tensorboard"]


def test_a_run_leaves_its_files_and_its_figures(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, report = finished
    assert sorted(entry.name for entry in folder.iterdir()) == RUN_FILES
    assert json.loads((folder / "report.json").read_text()) == report
    assert (report["finished"], report["steps"]) == ("all steps done", 6)
    assert {"iou", "dice", "pixel_error", "rand_error", "seg", "touching_pairs"} <= report["validation"].keys()
    assert training.load_config(folder / "config.toml") == averaging()
    assert (folder / "data.txt").read_text().splitlines() == [
        "Two squares.",
        "Training on 2 of 3 samples: cells 0, cells 1.",
        "Validating on 1 of 3 samples: cells 2.",
    ]
    assert ku.load_model(folder / "model.keras").count_params() == report["parameters"]


def test_a_finished_run_is_not_begun_again(finished: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="is finished"):
        training.run(averaging(), finished[0], data=cells(), say=quiet)


def test_an_unfinished_run_of_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").open(tiny())
    before = sorted((tmp_path / "run").rglob("*"))
    with pytest.raises(ConfigError, match="differs in optimizer.learning_rate, training.seed;"):
        training.run(tiny(training_seed=4, optimizer_learning_rate=0.1), tmp_path / "run", data=cells())
    assert sorted((tmp_path / "run").rglob("*")) == before


@pytest.mark.parametrize("damage", [lambda config: config.unlink(), lambda config: config.write_text("# half")])
def test_a_run_whose_configuration_is_lost_is_told_so(
    damage: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = RunFolder(Path(shutil.copytree(finished[0], tmp_path / "run")))
    damage(folder.config)
    with pytest.raises(ConfigError, match=r"config.toml: Expected the configuration that the run in this folder began"):
        training.run(averaging(), folder.path, data=cells(), say=quiet)


def test_a_folder_of_other_files_is_refused_even_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "config.toml").write_text("[some]\nother = 'program'")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds other files"):
            training.run(tiny(), tmp_path, overwrite, data=cells())
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="which is a file"):
        training.run(tiny(), tmp_path / "file", data=cells())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.toml", "file", "thesis.tex"]


def test_overwriting_removes_a_run_and_leaves_strangers(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open(tiny())
    folder.checkpoints.mkdir()
    (folder.checkpoints / "step-00000002.npz").write_bytes(b"old")
    (tmp_path / "mine.txt").write_text("keep me")
    folder.open(tiny(training_seed=9), overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.toml", "mine.txt"]
    assert folder.read_config() == tiny(training_seed=9)


def test_nothing_is_left_behind_when_the_data_or_the_configuration_do_not_fit(tmp_path: Path) -> None:
    mistakes = [
        (tiny(data_validate="0-2"), "0 validates on none"),
        (tiny(data_validate="7"), "indices from 0 to 2. Received 7"),
        (tiny(data_validate="2", data_train="0-2"), "Received 2 in both"),
        (tiny(data_train=[]), r"data.train: Expected at least one sample to train on. Received \[\]"),
        (tiny(data_validate="two"), "data.validate: Expected indices and ranges"),
        (tiny(model_num_classes=5), "model.num_classes: Expected 2 as the data have. Received 5"),
    ]
    for config, message in mistakes:
        with pytest.raises(ConfigError, match=message):
            training.run(config, tmp_path / "run", data=cells(), say=quiet)
    three = config_from_dict({**tiny().to_dict(), "loss": {"class_weights": [1.0, 1.0, 1.0]}})
    with pytest.raises(ValueError, match="Expected 2 class weights"):
        training.run(three, tmp_path / "run", data=cells(), say=quiet)
    unknown = config_from_dict({"data": {"name": "synthetic", "options": {"cell": 3}}})
    with pytest.raises(ConfigError, match="Unknown key data.options.cell"):
        training.run(unknown, tmp_path / "run", say=quiet)
    ignoring = config_from_dict({"data": {"name": "folder", "path": "x", "options": {"ignore_label": 1.5}}})
    with pytest.raises(ConfigError, match="data.options.ignore_label: Expected a whole number. Received 1.5"):
        training.run(ignoring, tmp_path / "run", say=quiet)
    turned = config_from_dict({**tiny().to_dict(), "augmentation": {"rotation_degrees": 500}})
    with pytest.raises(ValueError, match="rotation_degrees"):
        training.run(turned, tmp_path / "run", data=cells(), say=quiet)
    assert not (tmp_path / "run").exists()


def test_validation_data_are_those_of_the_run(tmp_path: Path) -> None:
    from keras_unet.training.evaluation import validation_data

    options = {"count": 3, "size": 32}
    config = config_from_dict({**tiny().to_dict(), "data": {"options": options, "validate": [1]}})
    RunFolder(tmp_path).open(config)
    assert [sample.name for sample in validation_data(tmp_path)] == ["synthetic-0-0001"]
    with pytest.raises(ConfigError, match="Expected a run folder"):
        validation_data(tmp_path / "none")
