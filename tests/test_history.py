"""A run folder read for people: finished or not, of this version or another, whole or damaged."""

import json
import math
from pathlib import Path

import pytest
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import stubbed

from keras_unet import training
from keras_unet.training.config import ConfigError, dump
from keras_unet.training.history import read_history
from keras_unet.training.run_folder import _MARK

HEADER = "step,loss,learning_rate,images_per_second,val_loss,val_mean_iou,val_mean_dice,val_pixel_accuracy\n"


def folder(path: Path, log: str | None = None, **changes: object) -> Path:
    """A run folder as `train` begins one."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.toml").write_text(dump(tiny(**changes).to_dict(), _MARK))
    if log is not None:
        (path / "log.csv").write_text(log)
    return path


def test_a_finished_run_is_read_as_it_reported_itself(tmp_path: Path) -> None:
    with stubbed():
        report = training.run(tiny(), tmp_path / "run", data=cells(), say=quiet)
    history = read_history(tmp_path / "run")
    assert (history.finished, history.steps, history.best_step) == ("all steps done", 6, report["best_step"])
    assert [step for step, _ in history.curve("loss")] == [2, 3, 4, 6]
    assert [step for step, _ in history.curve("val_mean_iou")] == [3, 6]
    assert (len(history.starts), history.notes) == (1, ())


def test_the_best_loss_is_the_lowest_and_the_best_of_other_figures_the_highest(tmp_path: Path) -> None:
    log = f"{HEADER}2,0.9,0.1,1,0.7,0.2,0.3,0.4\n4,0.5,0.1,1,0.6,0.5,0.3,0.9\n6,0.8,0.1,1,0.8,0.4,0.6,0.8\n"
    history = read_history(folder(tmp_path, log))
    assert (history.best("loss"), history.last("loss")) == ((4, 0.5), (6, 0.8))
    assert (history.best("val_loss"), history.best("val_pixel_accuracy")) == ((4, 0.6), (4, 0.9))
    assert history.best("val_mean_dice") == (6, 0.6)
    assert (history.best_step, history.steps, history.finished) == (4, 6, ""), "by mean_iou, which decides"


def test_figures_that_are_not_finite_are_in_no_curve(tmp_path: Path) -> None:
    history = read_history(folder(tmp_path, f"{HEADER}2,0.9,0.1,1,nan,nan,0.3,0.4\n4,inf,0.1,1,,,,\n"))
    assert (history.curve("loss"), history.curve("val_mean_iou")) == ([(2, 0.9)], [])
    assert math.isnan(history.log[2]["val_mean_iou"])


@pytest.mark.parametrize(
    "damage",
    ["4,0.5", "4,0.5,a,1,,,,\n", "x,0.5,0.1,1,,,,\n", "4,1,1,1,1,1,1,1,1\n", '4,"0.5,0.1,1,,,,\n', "\x00\x00\x00\n"],
)
def test_a_damaged_line_is_left_out_and_told(damage: str, tmp_path: Path) -> None:
    whole = "" if damage == "4,0.5" else "6,0.7,0.1,1,,,,\n"
    history = read_history(folder(tmp_path, f"{HEADER}2,0.9,0.1,1,,,,\n{damage}{whole}"))
    assert history.curve("loss") == [(2, 0.9), *([(6, 0.7)] if whole else [])]
    assert history.notes == ("1 line of log.csv is damaged and left out.",)


def test_a_run_that_has_just_begun_has_no_figures(tmp_path: Path) -> None:
    history = read_history(folder(tmp_path))
    assert (history.steps, history.best_step, history.finished, history.starts) == (0, None, "", ())
    assert history.notes == ("No line of log.csv has been written yet.",)


def test_a_configuration_of_another_version_is_shown_as_it_is_and_told(tmp_path: Path) -> None:
    path = folder(tmp_path, HEADER)
    text = (path / "config.toml").read_text()
    (path / "config.toml").write_text(text.replace("batch_size", "batch") + '\n[extra]\nkey = "value"\n')
    history = read_history(path)
    assert history.config is None
    assert (history.value("training", "batch"), history.value("extra", "key")) == (2, "value")
    assert len(history.notes) == 1
    assert history.notes[0].startswith("The configuration is of another version: Unknown")


def test_a_log_without_some_columns_has_the_others(tmp_path: Path) -> None:
    history = read_history(folder(tmp_path, "step,loss\n2,0.9\n"))
    assert (history.curve("loss"), history.curve("val_loss"), history.notes) == ([(2, 0.9)], [], ())


def test_damaged_files_beside_the_configuration_are_told(tmp_path: Path) -> None:
    path = folder(tmp_path, HEADER)
    (path / "report.json").write_text("{")
    (path / "provenance.json").write_text(json.dumps([1]))
    notes = read_history(path).notes
    assert len(notes) == 2
    assert all("Expected the" in note and str(path) in note for note in notes)


def test_what_is_no_run_is_refused_and_a_run_in_it_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected a run folder with its config.toml"):
        read_history(tmp_path / "nothing")
    folder(tmp_path / "demo" / "run")
    with pytest.raises(ConfigError, match="Did you mean '.*demo/run'"):
        read_history(tmp_path / "demo")
    (tmp_path / "demo" / "run" / "config.toml").write_text(f"# {_MARK}\n[training\n")
    with pytest.raises(ConfigError, match="damaged TOML"):
        read_history(tmp_path / "demo" / "run")
