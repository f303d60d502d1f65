"""Exact resume: a resumed run ends like one that was never interrupted, its model written again if need be.

Of nets that train, with averaged weights and updates of two batches: arithmetic is the point here.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.resumed_runs import assert_same_run, run_until_killed, steps_of
from helpers.runs import averaging, cells, quiet, tiny, weights

import keras_unet as ku
from keras_unet import training
from keras_unet.training.checkpoints import Checkpoints
from keras_unet.training.config import ConfigError


def same_model(one: Path, other: Path) -> bool:
    return np.array_equal(*(weights(ku.load_model(folder / "model.keras")) for folder in (one, other)))


def test_a_resumed_run_ends_like_one_that_was_never_interrupted(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and their averages, optimizer, dropout's seeds, log, report and model; stopped past a checkpoint, so
    that steps are repeated."""
    folder, said = tmp_path / "run", []
    run_until_killed(averaging(), folder, monkeypatch)
    assert max(steps_of(folder)) == 4
    report = training.run(averaging(), folder, data=cells(), say=said.append)

    assert "Resuming at step 4 of 6." in said
    assert_same_run(finished, (folder, report))
    assert same_model(finished[0], folder)


def test_a_torn_model_is_made_anew_from_the_checkpoint_of_its_step(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Of a run that lacks its report only: nothing that it trains would write the model, which holds averages."""
    folder, said = tmp_path / "run", []
    shutil.copytree(finished[0], folder)
    (folder / "report.json").unlink()
    model = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(model[: len(model) // 2])
    report = training.run(averaging(), folder, data=cells(), say=said.append)
    assert f"made anew from the checkpoint of step {report['best_step']}." in " ".join(said)
    assert_same_run(finished, (folder, report))
    assert same_model(finished[0], folder)


def test_a_model_that_nothing_can_bring_back_is_told_before_training(
    stub_training: None, stub_finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stub_finished[0], folder)
    for name in ("report.json", "model.keras"):
        (folder / name).unlink()
    stored = Checkpoints(folder / "checkpoints")
    read = stored.load_latest()
    assert read is not None
    np.savez(stored.path(9), **read[0], progress=json.dumps({"step": 9, "best_step": 8, "finished": "all steps done"}))
    with pytest.raises(ConfigError, match="model.keras: Expected the model of step 8, .* Received none .*--overwrite"):
        training.run(tiny(), folder, data=cells(), say=quiet)
