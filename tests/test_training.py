"""Training: the loop against `fit`, exact resume, run folders, checkpoints, what a run leaves behind."""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import cells, noise, quiet, tiny, tiny_trainer, weights

import keras_unet as ku
from keras_unet import training
from keras_unet.files import written_aside
from keras_unet.training import checkpoints, course, monitoring
from keras_unet.training.checkpoints import CheckpointError, Checkpoints, Progress
from keras_unet.training.config import ConfigError, config_from_dict
from keras_unet.training.loop import DivergedError, Trainer
from keras_unet.training.optimizers import WarmUpAndDecay, build_optimizer
from keras_unet.training.run_folder import RunFolder
from keras_unet.training.split import split
from keras_unet.training.stopping import StopRequest

RUN_FILES = ["checkpoints", "config.toml", "data.txt", "log.csv", "model.keras", "provenance.json", "report.json"]
RUN_FILES += ["tensorboard"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder and report of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, training.run(tiny(), folder, data=cells(), say=quiet)


def test_fit_and_the_loop_give_the_same_weights() -> None:
    """From our pipeline with augmentation, several steps a call, dropout active."""
    config = tiny()
    parts = split(cells(), config.data)
    loop = training.train.build_trainer(config, parts.train)
    batches_from, _ = training.train.build_datasets(config, parts, loop.model.geometry)
    batches = loop.batches(batches_from(0))
    loop.run(batches, 2)
    loop.run(batches, 3)

    keras.utils.set_random_seed(config.training.seed)
    model = ku.UNet.from_config(loop.model.get_config())
    model.compile(build_optimizer(config.optimizer, config.training.steps), loss=ku.WeightedCrossentropy())
    model.fit(batches_from(0), steps_per_epoch=5, verbose=0)
    assert np.abs(weights(model) - weights(loop.model)).max() <= 1e-6


def test_a_run_leaves_its_files_and_its_figures(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, report = finished
    assert sorted(entry.name for entry in folder.iterdir()) == RUN_FILES
    assert json.loads((folder / "report.json").read_text()) == report
    assert (report["finished"], report["steps"]) == ("all steps done", 6)
    assert {"iou", "dice", "pixel_error", "rand_error", "seg", "touching_pairs"} <= report["validation"].keys()
    assert training.load_config(folder / "config.toml") == tiny()
    assert (folder / "data.txt").read_text().splitlines() == [
        "Two squares.",
        "Training on 2 of 3 samples: cells 0, cells 1.",
        "Validating on 1 of 3 samples: cells 2.",
    ]
    assert ku.load_model(folder / "model.keras").count_params() == report["parameters"]


def test_the_log_has_a_line_at_each_stop_and_figures_at_each_validation(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    with open(finished[0] / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["2", "3", "4", "6"]
    assert [bool(line["val_mean_iou"]) for line in lines] == [False, True, False, True]
    rates = [float(line["learning_rate"]) for line in lines]
    assert rates == pytest.approx([0.005 * (1 + np.cos(np.pi * int(line["step"]) / 6)) for line in lines])


def test_a_log_that_was_cut_short_goes_on_without_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    monitoring.CsvLog(path).write({"step": 2, "loss": 0.5})
    with open(path, "a") as file:
        file.write("4,0.25,,,,,,\n6,0.1")
    monitoring.CsvLog(path, step=4).write({"step": 6, "loss": 0.125})
    assert path.read_text().splitlines()[1:] == ["2,0.5,,,,,,", "4,0.25,,,,,,", "6,0.125,,,,,,"]
    monitoring.CsvLog(path, step=2)
    assert path.read_text().splitlines()[1:] == ["2,0.5,,,,,,"]


def test_progress_is_told_in_lines_where_there_is_no_terminal() -> None:
    said: list[str] = []
    bar = monitoring.Bar(10, 4, said.append, terminal=False)
    bar.update(5, {"loss": 0.5})
    bar.update(10, {"loss": 0.25, "val mean_iou": 0.5})
    bar.close()
    assert said == ["step 10 of 10, loss 0.25, val mean_iou 0.5, 0:00 left"]


def steps_of(folder: Path) -> list[int]:
    return Checkpoints(folder / "checkpoints").steps()


def test_a_resumed_run_ends_like_one_that_was_never_interrupted(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimizer, dropout's seeds, log and report; stopped past a checkpoint, so that steps are repeated."""

    class Killed(BaseException):
        pass

    advance, folder, said = course.Course._advance, tmp_path / "run", []

    def until_killed(self: Any, batches: Any, progress: Progress, *others: Any) -> dict[str, float]:
        figures = advance(self, batches, progress, *others)
        if progress.step == 6:
            raise Killed
        return figures

    with monkeypatch.context() as patch:
        patch.setattr(course.Course, "_advance", until_killed)
        with pytest.raises(Killed):
            training.run(tiny(), folder, data=cells(), say=quiet)
    assert max(steps_of(folder)) == 4
    report = training.run(tiny(), folder, data=cells(), say=said.append)

    assert "Resuming at step 4 of 6." in said
    assert_same_run(finished, (folder, report))


def assert_same_run(finished: tuple[Path, dict[str, Any]], other: tuple[Path, dict[str, Any]]) -> None:
    assert {**finished[1], "seconds": 0} == {**other[1], "seconds": 0}
    folders = finished[0], other[0]
    one, two = (checkpoints.read(folder / "checkpoints" / "step-00000006.npz")[0] for folder in folders)
    assert one.keys() == two.keys()
    assert any(name.startswith("random/") for name in one)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    logs = [[line.split(",")[:3] for line in (folder / "log.csv").open()] for folder in folders]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("torn", [False, True])
def test_a_model_that_is_gone_or_torn_is_made_anew_from_the_checkpoint_of_its_step(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, torn: bool
) -> None:
    """Of a run that lacks its report only: nothing that it trains would write the model."""
    folder, said = tmp_path / "run", []
    shutil.copytree(finished[0], folder)
    (folder / "report.json").unlink()
    model = (folder / "model.keras").read_bytes()
    (folder / "model.keras").unlink()
    if torn:
        (folder / "model.keras").write_bytes(model[: len(model) // 2])
    report = training.run(tiny(), folder, data=cells(), say=said.append)
    assert f"made anew from the checkpoint of step {report['best_step']}." in " ".join(said)
    assert_same_run(finished, (folder, report))
    kept = [weights(ku.load_model(path / "model.keras")) for path in (finished[0], folder)]
    np.testing.assert_array_equal(*kept)


def test_a_model_that_nothing_can_bring_back_is_told_before_training(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    for name in ("report.json", "model.keras"):
        (folder / name).unlink()
    stored = Checkpoints(folder / "checkpoints")
    read = stored.load_latest()
    assert read is not None
    np.savez(stored.path(9), **read[0], progress=json.dumps({"step": 9, "best_step": 8, "finished": "all steps done"}))
    with pytest.raises(ConfigError, match="model.keras: Expected the model of step 8, .* Received none .*--overwrite"):
        training.run(tiny(), folder, data=cells(), say=quiet)


@pytest.mark.parametrize(("number", "at"), [(signal.SIGINT, 5), (signal.SIGTERM, 5), (signal.SIGTERM, 4)])
def test_a_signal_stops_a_run_with_a_checkpoint_of_its_step(
    number: signal.Signals,
    at: int,
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two lines of the log and at one; the run that goes on ends like one that was never stopped."""
    folder, said, run, handler = tmp_path / "run", [], Trainer.run, signal.getsignal(number)

    def until_told(self: Trainer, batches: Any, steps: int) -> float:
        loss = run(self, batches, 1)
        if self.optimizer.iterations == at:
            os.kill(os.getpid(), number)
        return loss

    config = tiny(training_steps_per_call=1, training_checkpoint_every=100)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", until_told)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as ended:
            training.run(config, folder, data=cells(), say=said.append)
    assert ended.type is KeyboardInterrupt if number == signal.SIGINT else ended.value.code == 143
    assert said[-1] == f"Stopped at step {at}. The same command goes on from there."
    assert steps_of(folder)[-1] == at
    assert signal.getsignal(number) is handler
    report = training.run(config, folder, data=cells(), say=said.append)
    assert f"Resuming at step {at} of 6." in said
    assert_same_run(finished, (folder, report))


@pytest.mark.parametrize("at", [3, 6])
def test_a_signal_cuts_a_validation_short_which_is_made_anew(
    at: int, finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the run, and at its end."""
    folder, said, validate = tmp_path / "run", [], Trainer.validate

    def until_told(self: Trainer, tiles: Any) -> dict[str, float]:
        if self.optimizer.iterations == at:
            os.kill(os.getpid(), signal.SIGTERM)
            assert list(tiles) == []
        return validate(self, tiles)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "validate", until_told)
        with pytest.raises(SystemExit, match="143"), warnings.catch_warnings(action="ignore"):
            training.run(tiny(training_checkpoint_every=100), folder, data=cells(), say=said.append)
    assert said[-1] == f"Stopped at step {at}. The same command goes on from there."
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + {3: 1, 6: 3}[at]
    report = training.run(tiny(training_checkpoint_every=100), folder, data=cells(), say=said.append)
    assert_same_run(finished, (folder, report))


def test_a_second_signal_ends_at_once() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_finished_run_is_not_begun_again(finished: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="is finished"):
        training.run(tiny(), finished[0], data=cells(), say=quiet)


def test_an_unfinished_run_of_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").open(tiny())
    before = sorted((tmp_path / "run").rglob("*"))
    with pytest.raises(ConfigError, match="differs in optimizer.learning_rate, training.seed;"):
        training.run(tiny(training_seed=4, optimizer_learning_rate=0.1), tmp_path / "run", data=cells())
    assert sorted((tmp_path / "run").rglob("*")) == before


@pytest.mark.parametrize("damage", [lambda config: config.unlink(), lambda config: config.write_text("# half")])
def test_a_run_whose_configuration_is_lost_is_told_so(damage: Any, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    training.run(tiny(), folder.path, data=cells(), say=quiet)
    damage(folder.config)
    with pytest.raises(ConfigError, match=r"config.toml: Expected the configuration that the run in this folder began"):
        training.run(tiny(), folder.path, data=cells(), say=quiet)


def test_a_log_that_is_gone_is_told_when_the_run_goes_on(tmp_path: Path) -> None:
    config, folder, said = tiny(training_checkpoint_every=2), RunFolder(tmp_path / "run"), []
    training.run(config, folder.path, data=cells(), say=quiet)
    folder.report.unlink()
    for path in sorted(folder.checkpoints.iterdir())[1:]:
        path.unlink()
    folder.log.unlink()
    training.run(config, folder.path, data=cells(), say=said.append)
    assert f"{folder.log} holds no figures of the steps before: the curves begin here." in said


def test_the_first_steps_which_compile_tell_nothing_of_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 130.0, 160.0])
    monkeypatch.setattr(monitoring.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    bar = monitoring.Bar(40, say=said.append, terminal=False)
    for step in (1, 11, 21):
        bar.update(step, {"loss": 0.5})
    assert said == [
        "step 1 of 40, loss 0.5",
        "step 11 of 40, loss 0.5, 1:27 left",
        "step 21 of 40, loss 0.5, 0:57 left",
    ]


def test_a_folder_of_other_files_is_refused_even_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "config.toml").write_text("[some]\nother = 'program'")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds other files"):
            training.run(tiny(), tmp_path, overwrite, data=cells())
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="which is a file"):
        training.run(tiny(), tmp_path / "file", data=cells())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.toml", "file", "thesis.tex"]


def test_overwriting_removes_a_run_and_leaves_strangers(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open(tiny())
    folder.checkpoints.mkdir()
    (folder.checkpoints / "step-00000002.npz").write_bytes(b"old")
    (tmp_path / "mine.txt").write_text("keep me")
    folder.open(tiny(training_seed=9), overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.toml", "mine.txt"]
    assert folder.read_config() == tiny(training_seed=9)


def test_nothing_is_left_behind_when_the_data_or_the_configuration_do_not_fit(tmp_path: Path) -> None:
    mistakes = [
        (tiny(data_validate="0-2"), "0 validates on none"),
        (tiny(data_validate="7"), "indices from 0 to 2. Received 7"),
        (tiny(data_validate="2", data_train="0-2"), "Received 2 in both"),
        (tiny(data_train=[]), r"data.train: Expected at least one sample to train on. Received \[\]"),
        (tiny(data_validate="two"), "data.validate: Expected indices and ranges"),
        (tiny(model_num_classes=5), "model.num_classes: Expected 2 as the data have. Received 5"),
    ]
    for config, message in mistakes:
        with pytest.raises(ConfigError, match=message):
            training.run(config, tmp_path / "run", data=cells(), say=quiet)
    three = config_from_dict({**tiny().to_dict(), "loss": {"class_weights": [1.0, 1.0, 1.0]}})
    with pytest.raises(ValueError, match="Expected 2 class weights"):
        training.run(three, tmp_path / "run", data=cells(), say=quiet)
    unknown = config_from_dict({"data": {"name": "synthetic", "options": {"cell": 3}}})
    with pytest.raises(ConfigError, match="Unknown key data.options.cell"):
        training.run(unknown, tmp_path / "run", say=quiet)
    ignoring = config_from_dict({"data": {"name": "folder", "path": "x", "options": {"ignore_label": 1.5}}})
    with pytest.raises(ConfigError, match="data.options.ignore_label: Expected a whole number. Received 1.5"):
        training.run(ignoring, tmp_path / "run", say=quiet)
    turned = config_from_dict({**tiny().to_dict(), "augmentation": {"rotation_degrees": 500}})
    with pytest.raises(ValueError, match="rotation_degrees"):
        training.run(turned, tmp_path / "run", data=cells(), say=quiet)
    assert not (tmp_path / "run").exists()


def test_without_validation_the_last_weights_are_kept(tmp_path: Path) -> None:
    config = tiny(data_validate=0, training_steps=2, model_num_classes=1)
    report = training.run(config, tmp_path / "run", data=cells(), say=quiet)
    assert (report["validation"], report["best_step"]) == (None, None)
    stored, _ = checkpoints.read(tmp_path / "run" / "checkpoints" / "step-00000002.npz")
    model = ku.load_model(tmp_path / "run" / "model.keras")
    np.testing.assert_array_equal(np.asarray(model.weights[0]), stored[f"model/{model.weights[0].path}"])


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
    monkeypatch.setattr(course.Course, "_panels", lambda self, dataset: [np.zeros((4, 4, 3), np.uint8)])
    monkeypatch.setattr(Checkpoints, "save", lambda self, trainer, progress: saved.append(progress.step))
    config = tiny(training_steps=10, training_validate_every=1, **changes)
    progress = course.Course(fake, config, RunFolder(path), lambda step: None, [], quiet).to_the_end()
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


def test_a_loss_that_is_not_finite_stops_with_a_sentence() -> None:
    trainer = tiny_trainer(keras.optimizers.SGD(1e20))
    with pytest.raises(DivergedError, match="Expected a finite loss. Received (nan|inf) at learning rate 1e.20"):
        trainer.run(trainer.batches(noise()), 5)


def test_float16_scales_its_loss_and_trains() -> None:
    optimizer = build_optimizer(tiny().optimizer, 10, "mixed_float16")
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    trainer = tiny_trainer(optimizer, dtype="mixed_float16")
    before = weights(trainer.model)
    trainer.run(trainer.batches(noise()), 2)
    assert np.isfinite(weights(trainer.model)).all()
    assert not np.array_equal(before, weights(trainer.model))
    assert trainer.learning_rate == pytest.approx(0.01 * 0.5 * (1 + np.cos(np.pi * 0.2)))


def test_xla_gives_the_same_step() -> None:
    """Without dropout, whose random numbers differ under XLA."""
    plain, compiled = tiny_trainer(dropout=0.0), tiny_trainer(dropout=0.0)
    compiled = Trainer(compiled.model, keras.optimizers.Adam(0.01), compiled.loss, xla=True)
    for trainer in (plain, compiled):
        trainer.run(trainer.batches(noise()), 2)
    assert np.abs(weights(plain.model) - weights(compiled.model)).max() < 1e-5


MIRRORED = """
import sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
import numpy as np
import test_training as t
from keras_unet.training.distribution import choose_strategy
strategy = choose_strategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
alone = t.tiny_trainer(dropout=0.0)
with strategy.scope():
    pair = t.tiny_trainer(dropout=0.0)
losses = [trainer.run(trainer.batches(t.noise()), 3) for trainer in (alone, pair)]
assert abs(losses[0] - losses[1]) < 1e-6, losses
assert np.abs(t.weights(alone.model) - t.weights(pair.model)).max() < 1e-5
"""


def test_two_devices_train_like_one_with_the_same_batch() -> None:
    script = MIRRORED.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def test_validation_leaves_out_pixels_of_weight_0_and_dropout() -> None:
    trainer = tiny_trainer()
    image = np.full((1, 16, 16, 1), 100.0, np.float32)
    predicted = trainer.classes(image)
    wrong = predicted.copy()
    wrong[:, :4] = 1 - wrong[:, :4]
    weight = np.ones((1, 16, 16), np.float32)
    whole = trainer.validate(tf.data.Dataset.from_tensors((image, wrong.astype(np.int32), weight)))
    weight[:, :4] = 0
    part = trainer.validate(tf.data.Dataset.from_tensors((image, wrong.astype(np.int32), weight)))
    assert whole["pixel_accuracy"] == pytest.approx(0.75)
    assert part["pixel_accuracy"] == 1.0


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


def test_schedules_reach_their_figures() -> None:
    """mmsegmentation's poly, (0.01 - 1e-4) (1 - t/T)^0.9 + 1e-4; half a cosine after a linear rise."""
    poly = WarmUpAndDecay(0.01, 40000, "poly", end=1e-4, power=0.9)
    for step in (0, 10000, 39999, 40000):
        assert float(poly(step)) == pytest.approx((0.01 - 1e-4) * (1 - step / 40000) ** 0.9 + 1e-4, rel=1e-4)
    cosine = WarmUpAndDecay(1.0, 110, "cosine", warmup_steps=10)
    expected = [0.1, 1.0, 1.0, 0.5 * (1 + np.cos(np.pi / 4)), 0.5, 0.0]
    assert [float(cosine(step)) for step in (0, 9, 10, 35, 60, 110)] == pytest.approx(expected, abs=1e-6)
    assert float(WarmUpAndDecay(0.3, 10)(10)) == pytest.approx(0.3)
    again = WarmUpAndDecay.from_config(cosine.get_config())
    assert float(again(35)) == float(cosine(35))
    with pytest.raises(ValueError, match="Received \"?'?cosin"):
        WarmUpAndDecay(0.1, 10, "cosin")


def test_a_batch_that_devices_cannot_share_is_refused() -> None:
    from types import SimpleNamespace

    from keras_unet.training.distribution import check_batch_size

    with pytest.raises(ConfigError, match="multiple of 4, .* Received 6. Nearest: 4 or 8"):
        check_batch_size(6, SimpleNamespace(num_replicas_in_sync=4))


def test_validation_data_are_those_of_the_run(tmp_path: Path) -> None:
    from keras_unet.training.evaluation import validation_data

    options = {"count": 3, "size": 32}
    config = config_from_dict({**tiny().to_dict(), "data": {"options": options, "validate": [1]}})
    RunFolder(tmp_path).open(config)
    assert [sample.name for sample in validation_data(tmp_path)] == ["synthetic-0-0001"]
    with pytest.raises(ConfigError, match="Expected a run folder"):
        validation_data(tmp_path / "none")
