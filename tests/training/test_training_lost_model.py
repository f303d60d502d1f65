"""A finished run whose model was lost: the command that began it makes it anew, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import cells, quiet, tiny, weights

import keras_unet as ku
from keras_unet import training
from keras_unet.instance_settings import InstanceSettings
from keras_unet.training import ConfigError, tuning
from keras_unet.training.run_folder import RunFolder


def test_a_lost_model_is_made_anew_and_what_was_tuned_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    report = training.run(tiny(), run.path, data=cells(), say=quiet)
    with pytest.raises(ConfigError, match="is finished; choose another folder"):
        training.run(tiny(), run.path, data=cells(), say=quiet)
    tuning.save(run, tuning.Tuned(InstanceSettings(0.7, 12, True, 2.0), 0.5, 0.6))
    before, kept = json.loads(run.report.read_text()), weights(ku.load_model(run.model))
    run.model.unlink()
    again = training.run(tiny(), run.path, data=cells(), say=quiet)
    assert again == report
    assert json.loads(run.report.read_text()) == before
    assert np.array_equal(weights(ku.load_model(run.model)), kept)
