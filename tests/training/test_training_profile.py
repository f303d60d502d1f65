"""`keras-unet train --profile`: what share of a step the input costs, what would help, and that nothing is left."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.command_line import done
from helpers.runs import cells, noise, quiet, tiny, tiny_trainer, weights

from keras_unet import training
from keras_unet.training import input_profile
from keras_unet.training.config import ConfigError
from keras_unet.training.trainer import Trainer

SMALL = ("model.filters=2", "model.depth=1", "training.input_size=34", "data.options={count=4,size=48}")


def slow(seconds: float) -> Any:
    """Batches of noise that take a while to make."""

    def wait(number: Any) -> Any:
        time.sleep(seconds)
        return number

    def delayed(image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.ensure_shape(tf.numpy_function(wait, [image], tf.float32), image.shape), label, weight

    return lambda first: noise(first).repeat().map(delayed)


def test_time_that_batches_take_to_make_is_the_inputs() -> None:
    settings = tiny(training_steps_per_call=2).training
    found = input_profile.measure(tiny_trainer(), slow(0.2), settings, blocks=2, seconds=0.0)
    assert found.piped == pytest.approx(0.2 + found.held, abs=0.15)
    assert found.share > 0.5
    assert found.images_per_second == pytest.approx(2 / found.piped)


def test_a_share_is_never_below_nothing() -> None:
    assert input_profile.InputShare(piped=0.9, held=1.0, tiles=1).share == 0
    assert input_profile.InputShare(piped=1.0, held=0.75, tiles=1).share == 0.25


def test_weights_stay_and_what_would_diverge_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Trainer] = []
    measure = input_profile.measure

    def short(trainer: Trainer, *arguments: Any) -> input_profile.InputShare:
        kept.append(trainer)
        before = weights(trainer.model)
        found = measure(trainer, *arguments, blocks=1, seconds=0.0)
        np.testing.assert_array_equal(weights(trainer.model), before)
        return found

    monkeypatch.setattr(input_profile, "measure", short)
    config = tiny(optimizer_learning_rate=1e9, optimizer_weight_decay=0.1, training_augment_on="device")
    training.profile(config, data=cells(), say=quiet)
    assert kept


@pytest.mark.parametrize(
    ("changes", "on_gpu", "named", "not_named"),
    [
        ({}, True, 'training.augment_on="device"', "more machines"),
        ({}, False, "other machines that make the batches (training.data_service)", "augment_on"),
        ({"training_augment_on": "device"}, True, "more CPU cores", "augment_on"),
        ({"training_data_service": ["grpc://host:5000"]}, False, "more machines", "cores"),
    ],
)
def test_a_costly_input_is_told_with_cures_that_are_left(
    changes: dict[str, Any], on_gpu: bool, named: str, not_named: str
) -> None:
    found = input_profile.InputShare(piped=2.0, held=1.0, tiles=8)
    *figures, advice = input_profile.report(found, tiny(**changes).training, on_gpu=on_gpu)
    assert "4 tiles a second" in figures[0]
    assert "50.0 %" in figures[2]
    assert named in advice
    assert not_named not in advice


def test_a_cheap_input_needs_no_advice() -> None:
    found = input_profile.InputShare(piped=1.0, held=0.95, tiles=1)
    assert len(input_profile.report(found, tiny().training, on_gpu=True)) == 3


def test_a_step_that_does_not_fit_is_told_with_smaller_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(self: Trainer, batches: Any, steps: int) -> float:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[2,64,32,32]")

    monkeypatch.setattr(Trainer, "run", too_large)
    with pytest.raises(ConfigError, match="Expected a step that fits into the memory"):
        training.profile(tiny(), data=cells(), say=quiet)


def test_the_command_prints_the_share_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = input_profile.InputShare(piped=2.0, held=1.0, tiles=8)
    monkeypatch.setattr(input_profile, "measure", lambda trainer, batches_from, settings: found)
    changes = [part for change in SMALL for part in ("--set", change)]
    said = done("train", "synthetic", "--profile", "--out", tmp_path / "run", *changes)
    assert re.search("Share of the input in a step +50.0 %", said)
    assert list(tmp_path.iterdir()) == []
