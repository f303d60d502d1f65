"""The course of a run: which weights are kept, and what ends it."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import load_stub_model

from keras_unet import training
from keras_unet.training import checkpoints, run_loop
from keras_unet.training.checkpoints import Checkpoints
from keras_unet.training.run_folder import RunFolder


def test_without_validation_the_last_weights_are_kept(stub_training: None, tmp_path: Path) -> None:
    config = tiny(data_validate=0, training_steps=2)
    report = training.run(config, tmp_path / "run", data=cells(), say=quiet)
    assert (report["validation"], report["best_step"]) == (None, None)
    stored, _ = checkpoints.read(tmp_path / "run" / "checkpoints" / "step-00000002.npz")
    for weight in load_stub_model(tmp_path / "run" / "model.keras").weights:
        np.testing.assert_array_equal(weight.value, stored[f"model/{weight.path}"])


class FakeTrainer:
    """Stands in for a trainer whose validation figures are known."""

    learning_rate = 0.1
    strategy = tf.distribute.get_strategy()
    weights: tuple[Any, ...] = ()

    def __init__(self, figures: list[float]) -> None:
        self.figures = iter(figures)
        self.model = self
        self.saved: list[int] = []
        self.step = 0

    def save(self, path: Path) -> None:
        self.saved.append(self.step)
        path.write_bytes(b"model")

    def batches(self, dataset: Any) -> Any:
        return dataset

    def run(self, batches: Any, steps: int) -> float:
        self.step += steps
        return 1.0

    averaged_weights = staticmethod(nullcontext)

    def validate(self, dataset: Any) -> dict[str, float]:
        return dict.fromkeys(("loss", "mean_iou", "mean_dice", "pixel_accuracy"), next(self.figures))


def run_course(figures: list[float], path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    fake, saved = FakeTrainer(figures), []
    monkeypatch.setattr(run_loop.Course, "_panels", lambda self, dataset: [np.zeros((4, 4, 3), np.uint8)])
    monkeypatch.setattr(run_loop.Course, "_dead_filters", lambda self, dataset: {})
    monkeypatch.setattr(Checkpoints, "save", lambda self, trainer, progress: saved.append(progress.step))
    config = tiny(training_steps=10, training_validate_every=1, **changes)
    progress = run_loop.Course(fake, config, RunFolder(path), lambda step: None, [], quiet).to_the_end()
    return progress, fake, saved


def test_the_best_weights_on_validation_are_kept_and_patience_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress, fake, _ = run_course([0.2, 0.5, 0.4, 0.5, 0.3, 0.9], tmp_path, monkeypatch, training_patience=3)
    assert (progress.step, progress.best_step, fake.saved) == (5, 2, [1, 2])
    assert progress.finished == "no better mean_iou in 3 validations"


def test_a_loss_is_better_when_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [0.5, 0.2, 0.4, 0.3, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2]
    progress, fake, saved = run_course(figures, tmp_path, monkeypatch, training_monitor="loss")
    assert (progress.best_step, fake.saved, progress.finished) == (5, [1, 2, 5], "all steps done")
    assert saved == [1, 2, 4, 5, 6, 8, 10]


def test_the_time_limit_ends_a_run_after_a_last_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress, fake, saved = run_course([0.5], tmp_path, monkeypatch, training_time_limit_minutes=1e-9)
    assert (progress.step, fake.saved, saved) == (1, [1], [1])
    assert progress.finished.startswith("time limit")
