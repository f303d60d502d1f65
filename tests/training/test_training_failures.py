"""Steps that fail: the batch that broke the loss is kept, and what would fit into memory is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.runs import cells, noise, quiet, tiny, tiny_trainer
from helpers.stub_training import StubTrainer, numbered_batches

from keras_unet import training
from keras_unet.models.geometry import Geometry
from keras_unet.training import input_failures
from keras_unet.training.checkpoints import Checkpoints
from keras_unet.training.config import Config, ConfigError
from keras_unet.training.trainer import DivergedError


def broken(at: int) -> tf.data.Dataset:
    """Batches of noise; the weights of one are infinite."""
    return noise().enumerate().map(lambda number, batch: (batch[0], batch[1], tf.where(number == at, np.inf, batch[2])))


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 5), (2, 3)])
def test_the_batch_that_broke_the_loss_is_named(accumulate: int, steps: int) -> None:
    trainer = tiny_trainer(accumulate=accumulate)
    with pytest.raises(DivergedError, match="Expected a finite loss") as caught:
        trainer.run(trainer.batches(broken(3)), steps)
    assert caught.value.batch == 3


def test_a_run_that_diverges_keeps_the_batch_and_the_last_checkpoint(
    stub_training: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fourth update is broken: its batches are 6 and 7, and 7 is the one."""
    config = tiny(training_steps_per_call=1, training_accumulate=2)
    run, calls = StubTrainer.run, []

    def breaking(self: StubTrainer, batches: Any, steps: int) -> float:
        calls.append(steps)
        if len(calls) == 4:
            raise DivergedError("Expected a finite loss. Received nan.", 1)
        return run(self, batches, steps)

    monkeypatch.setattr(StubTrainer, "run", breaking)
    folder = tmp_path / "run"
    with pytest.raises(
        DivergedError, match=r"Batch 7 is kept in .*diverged-batch-7.npz; the last checkpoint is of step 3"
    ):
        training.run(config, folder, data=cells(), say=quiet)
    assert Checkpoints(folder / "checkpoints").steps()[-1] == 3
    expected = next(numbered_batches(config)(0).skip(7).as_numpy_iterator())
    with np.load(folder / "diverged-batch-7.npz") as kept:
        for name, array in zip(("image", "label", "weight"), expected, strict=True):
            np.testing.assert_array_equal(kept[name], array)


def test_a_learning_rate_that_is_far_too_large_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """Nothing is stood in for: the first update makes huge weights, the second batch an infinite loss."""
    config = tiny(optimizer_learning_rate=1e30, training_steps_per_call=1, training_checkpoint_every=1)
    folder = tmp_path / "run"
    with pytest.raises(
        DivergedError, match=r"Received (nan|inf) at learning rate .*Batch 1 is kept in .*checkpoint is of step 1\.$"
    ):
        training.run(config, folder, data=cells(), say=quiet)
    assert (folder / "diverged-batch-1.npz").exists()
    stored = Checkpoints(folder / "checkpoints").load_latest()
    assert stored is not None
    assert stored[1].step == 1


def test_weights_that_are_not_finite_never_take_the_place_of_the_model(
    stub_training: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although a ReLU makes 0 of NaN, so that the loss looks well."""
    run = StubTrainer.run

    def breaking(self: StubTrainer, batches: Any, steps: int) -> float:
        loss = run(self, batches, steps)
        if self.step == 3:
            self.model.weights[0].assign(np.full(self.model.weights[0].shape, np.nan))
        return loss

    monkeypatch.setattr(StubTrainer, "run", breaking)
    with pytest.raises(
        DivergedError, match=r"finite weights. Received NaN or infinite ones at step 3. Batch 2 is kept"
    ):
        training.run(tiny(), tmp_path / "run", data=cells(), say=quiet)
    assert not (tmp_path / "run" / "model.keras").exists()
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [2]


def test_a_step_that_does_not_fit_is_told_with_smaller_sizes(
    stub_training: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(self: StubTrainer, batches: Any, steps: int) -> float:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[2,64,32,32]")

    monkeypatch.setattr(StubTrainer, "run", too_large)
    with pytest.raises(ConfigError) as caught:
        training.run(tiny(), tmp_path / "run", data=cells(), say=quiet)
    assert str(caught.value) == (
        "Expected a step that fits into the memory of the device. Received too little for a batch of 2 tiles of "
        "32 x 32 pixels: try training.batch_size=1 with training.accumulate=2, which is the same update, or "
        "training.input_size=22, or a smaller model.filters."
    )


@pytest.mark.parametrize(
    ("batch", "accumulate", "replicas", "advised"),
    [
        (8, 1, 1, "batch_size=4 with training.accumulate=2"),
        (6, 2, 2, "batch_size=2 with training.accumulate=6"),
        (3, 1, 1, "batch_size=1 with training.accumulate=3"),
        (4, 1, 4, None),
        (1, 1, 1, None),
    ],
)
def test_a_smaller_batch_makes_the_same_update(batch: int, accumulate: int, replicas: int, advised: str | None) -> None:
    settings = tiny(training_batch_size=batch, training_accumulate=accumulate).training
    sentence = input_failures.out_of_memory(settings, Geometry(1, "same"), replicas)
    assert (advised in sentence) if advised else ("batch_size=" not in sentence)


def test_a_smaller_tile_is_legal_and_the_smallest_has_none() -> None:
    settings = training.Config().training
    assert "training.input_size=396" in input_failures.out_of_memory(settings, Geometry(4, "valid"))
    smallest = settings.model_copy(update={"input_size": Geometry(4, "valid").smallest_input})
    assert "input_size" not in input_failures.out_of_memory(smallest, Geometry(4, "valid"))


def test_a_damaged_record_that_several_operations_saw_is_told_once() -> None:
    message = (
        "2 root error(s) found.\n  (0) DATA_LOSS:  {{function_node map}} corrupted record at 12\n\t [[{{node D}}]]\n"
        "  (1) DATA_LOSS:  {{function_node map}} corrupted record at 12\n0 successful operations.\n"
        "0 derived errors ignored. [Op:__inference__updates_5]"
    )
    with (
        pytest.raises(ValueError, match="Received: corrupted record at 12. Once"),
        input_failures.input_explained(Config()),
    ):
        raise tf.errors.DataLossError(None, None, message)
