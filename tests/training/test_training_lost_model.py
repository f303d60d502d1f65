"""A finished run whose model was lost: the command that began it makes it anew, and nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import cells, quiet, tiny

from keras_unet import training
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.training import ConfigError, tuning
from keras_unet.training.run_folder import RunFolder


def arrays(model: Path) -> dict[str, bytes]:
    """Every weight in a stand-in's model."""
    with np.load(model) as archive:
        return {name: archive[name].tobytes() for name in archive.files}


def test_a_lost_model_is_made_anew_and_what_was_tuned_stays(
    stub_training: None, stub_finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, report = RunFolder(Path(shutil.copytree(stub_finished[0], tmp_path / "run"))), stub_finished[1]
    with pytest.raises(ConfigError, match="is finished; choose another folder"):
        training.run(tiny(), run.path, data=cells(), say=quiet)
    tuning.save(run, tuning.Tuned(InstanceSettings(0.7, 12, True, 2.0), 0.5, 0.9, 0.6))
    before, kept = json.loads(run.report.read_text()), arrays(run.model)
    run.model.unlink()
    again = training.run(tiny(), run.path, data=cells(), say=quiet)
    assert again == report
    assert json.loads(run.report.read_text()) == before
    assert arrays(run.model) == kept
