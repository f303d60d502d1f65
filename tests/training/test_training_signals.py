"""Ctrl-C and SIGTERM: a checkpoint of that very step, a validation cut short, an end at once for who asks twice."""

import gc
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.resumed_runs import assert_same_run, steps_of
from helpers.runs import cells, tiny
from helpers.stub_training import StubTrainer

from keras_unet import training
from keras_unet.training.stop_signals import StopRequest


@pytest.mark.parametrize(("number", "at"), [(signal.SIGINT, 5), (signal.SIGTERM, 5), (signal.SIGTERM, 4)])
def test_a_signal_stops_a_run_with_a_checkpoint_of_its_step(
    number: signal.Signals,
    at: int,
    stub_training: None,
    stub_finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two lines of the log and at one; the run that goes on ends like one that was never stopped."""
    folder, said, run, handler = tmp_path / "run", [], StubTrainer.run, signal.getsignal(number)

    def until_told(self: StubTrainer, batches: Any, steps: int) -> float:
        loss = run(self, batches, 1)
        if self.step == at:
            os.kill(os.getpid(), number)
        return loss

    config = tiny(training_steps_per_call=1, training_checkpoint_every=100)
    with monkeypatch.context() as patch:
        patch.setattr(StubTrainer, "run", until_told)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as ended:
            training.run(config, folder, data=cells(), say=said.append)
    assert ended.type is KeyboardInterrupt if number == signal.SIGINT else ended.value.code == 143
    assert said[-1] == f"Stopped at step {at}. The same command goes on from there."
    assert steps_of(folder)[-1] == at
    assert signal.getsignal(number) is handler
    report = training.run(config, folder, data=cells(), say=said.append)
    assert f"Resuming at step {at} of 6." in said
    assert_same_run(stub_finished, (folder, report))


@pytest.mark.parametrize("at", [3, 6])
def test_a_signal_cuts_a_validation_short_which_is_made_anew(
    at: int,
    stub_training: None,
    stub_finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the middle of the run, and at its end."""
    folder, said, validate = tmp_path / "run", [], StubTrainer.validate

    def until_told(self: StubTrainer, tiles: Any) -> dict[str, float]:
        if self.step == at:
            os.kill(os.getpid(), signal.SIGTERM)
            assert list(tiles) == []
        return validate(self, tiles)

    with monkeypatch.context() as patch:
        patch.setattr(StubTrainer, "validate", until_told)
        with pytest.raises(SystemExit, match="143"), warnings.catch_warnings(action="ignore"):
            training.run(tiny(training_checkpoint_every=100), folder, data=cells(), say=said.append)
    assert said[-1] == f"Stopped at step {at}. The same command goes on from there."
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + {3: 1, 6: 3}[at]
    report = training.run(tiny(training_checkpoint_every=100), folder, data=cells(), say=said.append)
    assert_same_run(stub_finished, (folder, report))


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """In whose callbacks, which tools of tests have, Python would swallow an interrupt."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def interrupts_are_raised() -> Iterator[None]:
    """Even in a process that a shell started in the background, which is born deaf to them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_ends_at_once(no_garbage_collection: None, interrupts_are_raised: None) -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
