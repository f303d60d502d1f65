"""Cross-validation: its parts and its folders, and metrics over all images, each predicted by the net without it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from helpers.command_line import done, mistake, wrong_use
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import stubbed, untrained

import keras_unet as ku
from keras_unet import training
from keras_unet.commands.evaluate import remarks
from keras_unet.commands.open_models import open_model, validated_instances
from keras_unet.training import folds
from keras_unet.training.config import ConfigError, Data, config_from_dict
from keras_unet.training.data_split import fold_settings
from keras_unet.training.evaluation import evaluate
from keras_unet.training.run_folder import RunFolder, fold_folders
from keras_unet.training.tuning import finished_report


@pytest.mark.parametrize(
    ("settings", "count", "number", "expected"),
    [
        ({}, 5, 2, [("2-4", "0-1"), ("0-1", "2-4")]),
        ({"validate": 0}, 3, 3, [("1-2", "0"), ("0, 2", "1"), ("0-1", "2")]),
        ({"train": "4-5, 0", "validate": [7]}, 9, 2, [("5, 7", "0, 4"), ("0, 4", "5, 7")]),
    ],
    ids=["all", "without validation", "chosen samples"],
)
def test_each_sample_validates_once_in_contiguous_parts(
    settings: dict[str, Any], count: int, number: int, expected: list[tuple[str, str]]
) -> None:
    made = fold_settings(Data(**settings), count, number)
    assert [(one.train, one.validate_on) for one in made] == expected


def test_sizes_of_folds_differ_by_one_at_most() -> None:
    made = fold_settings(Data(), 23, 5)
    assert [one.validate_on for one in made] == ["0-3", "4-8", "9-12", "13-17", "18-22"]


def test_more_folds_than_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected from 2 to 3 folds, as there are so many images. Received 4"):
        training.run_folds(tiny(), tmp_path / "run", 4, data=cells(), say=quiet)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def stub_folds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is trained is a stand-in, and judged as one."""
    with stubbed():
        from keras_unet.training import evaluation, training_run

        monkeypatch.setattr(folds, "load_model", training_run.load_model)
        monkeypatch.setattr(folds, "judge_all", lambda model, data: evaluation.judge_all(model.probabilities, data))
        yield


@pytest.mark.slow
def test_stopped_folds_continue_and_end_like_those_that_were_not(
    stub_folds: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training.run_folds(tiny(), tmp_path / "whole", 3, data=cells(), say=quiet)
    run, said = training.run, []

    def stopped(config: Any, out: Path, **others: Any) -> Any:
        if out.name == "fold-2":
            raise KeyboardInterrupt
        return run(config, out, **others)

    with monkeypatch.context() as patch:
        patch.setattr(folds, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            training.run_folds(tiny(), tmp_path / "run", 3, data=cells(), say=quiet)
    with pytest.raises(ConfigError, match="Expected finished folds. Those in .* continues"):
        fold_folders(tmp_path / "run")
    first = (tmp_path / "run" / "fold-1" / "report.json").stat().st_mtime_ns
    report = training.run_folds(tiny(), tmp_path / "run", 3, data=cells(), say=said.append)
    assert f"Fold 1 of 3: {tmp_path / 'run' / 'fold-1'}, finished." in said
    assert (tmp_path / "run" / "fold-1" / "report.json").stat().st_mtime_ns == first
    for one in (*whole["folds"], *report["folds"]):
        one["seconds"] = 0
    assert report == whole
    assert (tmp_path / "run" / "fold-2" / "data.txt").read_text().splitlines()[-2:] == [
        "Training on 2 of 3 samples: cells 0, cells 2.",
        "Validating on 1 of 3 samples: cells 1.",
    ]


def test_folders_that_hold_something_else_are_refused(stub_folds: None, tmp_path: Path) -> None:
    training.run(tiny(), tmp_path / "single", data=cells(), say=quiet)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    for name, sentence in (("single", "holds a single run"), ("thesis", "holds other files"), ("file", "is a file")):
        for overwrite in (False, True):
            with pytest.raises(ConfigError, match=sentence):
                training.run_folds(tiny(), tmp_path / name, 3, overwrite, data=cells(), say=quiet)


@pytest.mark.slow
def test_finished_folds_are_replaced_only_where_that_is_asked(stub_folds: None, tmp_path: Path) -> None:
    training.run_folds(tiny(), tmp_path, 3, data=cells(), say=quiet)
    with pytest.raises(ConfigError, match="The 3 folds in .* are finished"):
        training.run_folds(tiny(), tmp_path, 3, data=cells(), say=quiet)
    with pytest.raises(ConfigError, match="fold-2.* differs in data.train"):
        training.run_folds(tiny(), tmp_path, 2, data=cells(), say=quiet)
    with pytest.raises(ConfigError, match="fold-1.* differs in training.seed; choose"):
        training.run_folds(tiny(training_seed=4), tmp_path, 3, data=cells(), say=quiet)
    with pytest.raises(ConfigError, match="Expected a run folder .* Did you mean '.*fold-1'"):
        RunFolder(tmp_path).read_config()
    (tmp_path / "fold-3" / "notes.txt").write_text("keep me")
    report = training.run_folds(tiny(), tmp_path, 2, True, data=cells(), say=quiet)
    assert [fold["names"] for fold in report["folds"]] == [["cells 0"], ["cells 1", "cells 2"]]
    assert [entry.name for entry in (tmp_path / "fold-3").iterdir()] == ["notes.txt"]


def test_mean_and_spread_are_those_of_the_metrics_of_the_folds(stub_folds: None, tmp_path: Path) -> None:
    *others, last = cells().samples
    data = replace(cells(), samples=(*others, replace(last, image=last.image // 2)))
    report = training.run_folds(tiny(), tmp_path, 3, data=data, say=quiet)
    values = [fold["validation"]["mean_iou"] for fold in report["folds"]]
    assert len(set(values)) > 1
    assert report["mean"]["mean_iou"] == pytest.approx(mean(values))
    assert report["spread"]["mean_iou"] == pytest.approx(stdev(values))
    assert report["mean"]["iou cell"] == pytest.approx(
        mean(fold["validation"]["iou"]["cell"] for fold in report["folds"])
    )
    assert not report["mean"].keys() & {"images", "pixels", "threshold", "objects"}
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_several_workers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(ConfigError, match="one process to train all folds. Received TF_CONFIG with 2 workers"):
        training.run_folds(tiny(), tmp_path / "run", 3, data=cells(), say=quiet)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of two generated images, as the command leaves them; their nets are trained by nobody and differ."""
    out = tmp_path_factory.mktemp("folds") / "run"
    changes = ["model.filters=2", "model.depth=1", "model.padding=same", "training.input_size=32", "training.steps=2"]
    changes += ["data.options={count=2,size=40}", "optimizer.warmup_steps=0"]
    with untrained():
        said = done("train", "synthetic", "--folds", 2, "--out", out, *(w for c in changes for w in ("--set", c)))
    assert "All 2 images, each predicted by the net of the fold without it:" in said
    assert "Mean and standard deviation of the 2 folds: mean_iou " in said
    other = ku.load_model(out / "fold-2")
    for weight in other.weights:
        weight.assign(0.5 * weight.numpy() - 0.01)
    other.save(out / "fold-2" / "model.keras")
    return out


def test_predictions_are_the_mean_of_the_folds(trained: Path, tmp_path: Path) -> None:
    image = cells()[0].image
    nets = [ku.load_model(trained / f"fold-{number}") for number in (1, 2)]
    one, other = (ku.predict(net, image) for net in nets)
    assert np.abs(one - other).max() > 1e-3
    model = open_model(trained)
    np.testing.assert_allclose(model(image), (one + other) / 2, atol=1e-6)
    assert model.value_range is None  # each image is normalised by itself


def test_evaluate_predicts_each_image_by_the_net_that_has_not_seen_it(trained: Path, tmp_path: Path) -> None:
    """Metrics of the command against those of either net on its own image, whose confusion counts add."""
    said = done("evaluate", trained, "--json", tmp_path / "all.json", "--pictures", tmp_path / "pictures")
    assert "trained on" not in said
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    found = json.loads((tmp_path / "all.json").read_text())
    data = ku.datasets.load("synthetic", count=2, size=40)
    alone = [
        evaluate(ku.load_model(trained / f"fold-{number}"), data.subset([number - 1]), metrics=["pixel_accuracy"])
        for number in (1, 2)
    ]
    accuracies = [figures["pixel_accuracy"] for figures in alone]
    assert found["figures"]["pixel_accuracy"] == pytest.approx(mean(accuracies))
    assert [one["pixel_accuracy"] for one in found["by_image"].values()] == pytest.approx(accuracies)
    assert remarks(trained, data)[0].startswith("2 of these 2 images were trained on")


def test_tune_chooses_on_all_images_for_all_folds(trained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    assert "Chosen on these 2 validation images" in done("tune", out)
    chosen = finished_report(RunFolder(out))["tuned"]
    assert validated_instances(out).threshold == chosen["threshold"]


def test_what_takes_one_net_names_a_fold(trained: Path, tmp_path: Path) -> None:
    expected = "which holds one for each fold: choose one, such as"
    with pytest.raises(ValueError, match=f"Expected a folder with one net. Received .*{expected} '.*fold-1'"):
        ku.load_model(trained)
    assert expected in mistake("export", trained, tmp_path / "models")
    assert not (tmp_path / "models").exists()
    with pytest.raises(ConfigError, match=f"training.start_from: .*{expected}"):
        training.run(tiny(training_start_from=str(trained)), tmp_path / "run", data=cells(), say=quiet)
    assert "Did you mean" in mistake("report", trained, "--out", tmp_path / "report.html")
    assert "Expected --folds without --profile" in wrong_use("train", "synthetic", "--folds", 2, "--profile")


def test_a_configuration_of_a_fold_is_that_of_a_run(trained: Path) -> None:
    config = RunFolder(trained / "fold-2").read_config()
    assert (config.data.train, config.data.validate_on) == ("0", "1")
    assert config_from_dict(config.to_dict()) == config
