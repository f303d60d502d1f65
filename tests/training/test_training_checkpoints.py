"""Checkpoints: which are kept, which are skipped, and what a write that fails leaves."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import noise, tiny_trainer

from keras_unet.training import checkpoints
from keras_unet.training.checkpoints import CheckpointError, Checkpoints, Progress
from keras_unet.training.trainer import DivergedError, Trainer
from keras_unet.utils.atomic_files import written_aside


@pytest.fixture(scope="module")
def trained() -> Trainer:
    trainer = tiny_trainer()
    trainer.run(trainer.batches(noise()), 1)
    return trainer


def test_the_latest_checkpoints_and_the_best_are_kept(trained: Trainer, tmp_path: Path) -> None:
    stored = Checkpoints(tmp_path / "checkpoints", keep=2)
    for step in (1, 2, 3, 4):
        stored.save(trained, Progress(step, best_step=1))
    assert stored.steps() == [1, 3, 4]


def test_a_torn_checkpoint_is_skipped_with_a_warning(
    trained: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut short anywhere, one byte changed, or empty."""
    stored = Checkpoints(tmp_path, keep=9)
    stored.save(trained, Progress(1))
    whole = stored.save(trained, Progress(2)).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    for torn in (whole[:-1], whole[: len(whole) // 2], b"", bytes(flipped)):
        (tmp_path / "step-00000002.npz").write_bytes(torn)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            latest = stored.load_latest()
        assert latest is not None
        assert latest[1].step == 1
        assert "step-00000002.npz" in caplog.text


@pytest.mark.parametrize("progress", [[1], {"step": "2"}, {"step": 2, "foo": 1}, {"step": 2, "best": "high"}])
def test_a_checkpoint_whose_progress_is_not_ours_is_skipped_with_a_warning(
    trained: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture, progress: object
) -> None:
    stored = Checkpoints(tmp_path)
    stored.save(trained, Progress(1, best=float("nan")))
    np.savez(tmp_path / "step-00000002.npz", progress=np.asarray(json.dumps(progress)))
    for latest in (stored.latest_progress(), (stored.load_latest() or (None, None))[1]):
        assert latest is not None
        assert latest.step == 1
    assert "step-00000002.npz, which cannot be read: Expected the progress of a run" in caplog.text


def test_a_full_disk_leaves_the_last_checkpoint_loadable(
    trained: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Checkpoints(tmp_path)
    stored.save(trained, Progress(1))

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        stored.save(trained, Progress(2))
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-00000001.npz"]
    assert stored.load_latest() is not None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_text("old")

    def interrupted() -> None:
        with written_aside(path) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("model.keras", "old")]


def test_weights_that_are_not_finite_are_never_stored(tmp_path: Path) -> None:
    trainer = tiny_trainer()
    trainer.model.weights[0].assign(np.full(trainer.model.weights[0].shape, np.nan))
    with pytest.raises(DivergedError, match="at step 7"):
        Checkpoints(tmp_path / "new").save(trainer, Progress(7))
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_of_another_model_is_refused_with_the_differences(trained: Trainer) -> None:
    arrays = checkpoints.snapshot(tiny_trainer(filters=3))
    with pytest.raises(CheckpointError, match=r"model/bottom_conv1/bias is \(6,\) instead of \(4,\)"):
        checkpoints.restore(trained, arrays)
