"""What a run tells: its log, and its progress in lines."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import cells, quiet, tiny

from keras_unet import training
from keras_unet.training import monitoring
from keras_unet.training.run_folder import RunFolder


def test_the_log_has_a_line_at_each_stop_and_figures_at_each_validation(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    with open(finished[0] / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["2", "3", "4", "6"]
    assert [bool(line["val_mean_iou"]) for line in lines] == [False, True, False, True]
    rates = [float(line["learning_rate"]) for line in lines]
    assert rates == pytest.approx([0.005 * (1 + np.cos(np.pi * step / 6)) for step in (1, 2, 3, 5)]), "steps from 0"


def test_a_log_that_was_cut_short_goes_on_without_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    monitoring.CsvLog(path).write({"step": 2, "loss": 0.5})
    with open(path, "a") as file:
        file.write("4,0.25,,,,,,,,\n6,0.1")
    monitoring.CsvLog(path, step=4).write({"step": 6, "loss": 0.125})
    assert path.read_text().splitlines()[1:] == ["2,0.5,,,,,,,,", "4,0.25,,,,,,,,", "6,0.125,,,,,,,,"]
    monitoring.CsvLog(path, step=2)
    assert path.read_text().splitlines()[1:] == ["2,0.5,,,,,,,,"]


def test_a_log_that_is_gone_is_told_when_the_run_goes_on(stub_training: None, tmp_path: Path) -> None:
    config, folder, said = tiny(training_checkpoint_every=2), RunFolder(tmp_path / "run"), []
    training.run(config, folder.path, data=cells(), say=quiet)
    folder.report.unlink()
    for path in sorted(folder.checkpoints.iterdir())[1:]:
        path.unlink()
    folder.log.unlink()
    training.run(config, folder.path, data=cells(), say=said.append)
    assert f"{folder.log} holds no figures of the steps before: the curves begin here." in said


def test_progress_is_told_in_lines_where_there_is_no_terminal() -> None:
    said: list[str] = []
    bar = monitoring.Bar(10, 4, said.append, terminal=False)
    bar.update(5, {"loss": 0.5})
    bar.update(10, {"loss": 0.25, "val mean_iou": 0.5})
    bar.close()
    assert said == ["step 10 of 10, loss 0.25, val mean_iou 0.5, 0:00 left"]


def test_the_first_steps_which_compile_tell_nothing_of_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 130.0, 160.0])
    monkeypatch.setattr(monitoring.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    bar = monitoring.Bar(40, say=said.append, terminal=False)
    for step in (1, 11, 21):
        bar.update(step, {"loss": 0.5})
    assert said == [
        "step 1 of 40, loss 0.5",
        "step 11 of 40, loss 0.5, 1:27 left",
        "step 21 of 40, loss 0.5, 0:57 left",
    ]
