"""The figure that says which weights are kept: of validation tiles, or of whole images as a challenge takes it."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import cells, quiet, tiny

import keras_unet as ku
from keras_unet import training
from keras_unet.datasets import LabelledImages, Sample
from keras_unet.training.config import ConfigError
from keras_unet.training.run_folder import RunFolder


def curve(folder: Path, column: str) -> dict[int, float]:
    with open(folder / "log.csv", encoding="utf-8", newline="") as file:
        return {int(line["step"]): float(line[column]) for line in csv.DictReader(file) if line[column]}


def with_classes(labels: Any) -> LabelledImages:
    samples = tuple(Sample(one.name, one.image, labels(one.labels)) for one in cells())
    return LabelledImages(samples, "classes", 2, ("background", "cell"), None)


@pytest.mark.parametrize(("monitor", "choose", "other"), [("seg", max, "rand_error"), ("rand_error", min, "seg")])
def test_a_figure_of_whole_images_keeps_the_weights_it_is_best_for(
    monitor: str, choose: Any, other: str, stub_training: None, tmp_path: Path
) -> None:
    config = tiny(training_monitor=monitor, training_steps=60, training_validate_every=15)
    report = training.run(config, tmp_path / "run", data=cells(), say=quiet)
    figures = curve(tmp_path / "run", f"val_{monitor}")
    assert list(figures) == [15, 30, 45, 60]
    assert len(set(figures.values())) > 1
    assert report["best_step"] == next(step for step, value in figures.items() if value == choose(figures.values()))
    assert report["validation"][monitor] == pytest.approx(figures[report["best_step"]], abs=1e-5)
    assert curve(tmp_path / "run", f"val_{other}") == {}


def test_a_resumed_run_takes_the_same_figures_of_whole_images(stub_training: None, tmp_path: Path) -> None:
    config = tiny(training_monitor="rand_error", training_steps=12)
    training.run(config, tmp_path / "whole", data=cells(), say=quiet)

    def until_the_second_validation(line: str) -> None:
        if (tmp_path / "cut" / "log.csv").exists() and len(curve(tmp_path / "cut", "val_rand_error")) == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_unet.training.monitoring._SECONDS_BETWEEN_LINES", 0.0)
        with pytest.raises(KeyboardInterrupt):
            training.run(config, tmp_path / "cut", data=cells(), say=until_the_second_validation)
    assert curve(tmp_path / "cut", "val_rand_error").keys() == {3}
    training.run(config, tmp_path / "cut", data=cells(), say=quiet)
    assert curve(tmp_path / "cut", "val_rand_error") == curve(tmp_path / "whole", "val_rand_error")


def test_the_figure_is_that_of_the_whole_image_and_not_of_its_tiles(tmp_path: Path) -> None:
    """With tiles of 16 pixels a cell of 20 x 12 lies in several; of a net with one channel."""
    course = {"training_input_size": 16, "training_steps": 60, "training_validate_every": 60}
    config = tiny(training_monitor="seg", model_num_classes=1, **course)
    training.run(config, tmp_path / "run", data=cells(), say=quiet)
    model = ku.load_model(RunFolder(tmp_path / "run").model)
    assert model.num_classes == 1
    best = ku.training.evaluate(model, cells().subset([2]), threshold=None, metrics=["seg"])["seg"]
    assert best > 0
    assert max(curve(tmp_path / "run", "val_seg").values()) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize(
    ("monitor", "labels", "message"),
    [
        (
            "seg",
            lambda labels: (labels > 0).astype(np.int32),
            "training.monitor: Expected a truth of instance ids for seg.",
        ),
        ("rand_error", np.zeros_like, "training.monitor: Expected validation images with at least one object"),
    ],
)
def test_a_figure_that_the_images_do_not_have_is_refused_before_anything_is_written(
    monitor: str, labels: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        training.run(tiny(training_monitor=monitor), tmp_path / "run", data=with_classes(labels), say=quiet)
    assert not (tmp_path / "run").exists()


def test_an_unknown_figure_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="(?s)training.monitor.*rand_error.*seg"):
        tiny(training_monitor="warping_error")
