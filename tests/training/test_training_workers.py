"""Several workers as threads of this process that train stand-ins: what the chief tells, writes and waits for.

Real ones, in processes that exchange gradients, are in `test_distribution`.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import new_net
from helpers.resumed_runs import assert_same_run, steps_of
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import StubTrainer

from keras_unet import training
from keras_unet.training import checkpoints, distribution, run_loop, training_run
from keras_unet.training.config import ConfigError
from keras_unet.training.distribution import WorkerLostError, Workers
from keras_unet.training.starting_net import find_start

COUNT = 2


class Team:
    """Sums over workers, as TensorFlow takes them; a lost worker raises what TensorFlow raises."""

    def __init__(self) -> None:
        self.me = threading.local()
        self.barrier = threading.Barrier(COUNT)
        self.offered: list[Any] = [None] * COUNT

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        try:
            self.offered[self.me.index] = value.numpy()
            self.barrier.wait(60)
            total = sum(self.offered)
            self.barrier.wait(60)
        except threading.BrokenBarrierError:
            message = "Collective ops is aborted by: /job:worker/replica:0/task:1 is gone"
            raise tf.errors.UnavailableError(None, None, message) from None
        return tf.constant(total)

    def work(self, task: Callable[[int], Any]) -> list[Any]:
        """What each worker's task returns or raises; when one raises, the others lose it."""
        results: list[Any] = [None] * COUNT

        def worker(index: int) -> None:
            self.me.index = index
            try:
                results[index] = task(index)
            except BaseException as error:
                results[index] = error
                self.barrier.abort()

        threads = [threading.Thread(target=worker, args=(index,)) for index in range(COUNT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.barrier.reset()
        return results


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> Team:
    made = Team()

    class Together(Workers):
        def __init__(self, strategy: tf.distribute.Strategy) -> None:
            self.count, self.index, self._sum = COUNT, made.me.index, made.sum

    for module in (run_loop, distribution, training_run):
        monkeypatch.setattr(module, "Workers", Together)
    return made


@pytest.fixture
def trainers(stub_training: None) -> Iterator[list[StubTrainer]]:
    """Those that are built. Patched within `stub_training`, and so undone before it."""
    built: list[StubTrainer] = []

    def build(config: Any, *_: Any) -> StubTrainer:
        built.append(StubTrainer(config))
        return built[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "build_trainer", build)
        yield built


def assert_same_state(one: StubTrainer, other: StubTrainer) -> None:
    arrays, others = checkpoints.snapshot(one), checkpoints.snapshot(other)  # type: ignore[arg-type]
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], err_msg=name)


def test_the_chief_alone_reads_the_net_that_a_run_starts_from(team: Team, tmp_path: Path) -> None:
    new_net(filters=4, depth=1, padding="same", value_range=(20, 220)).save(tmp_path / "net.keras")
    config = tiny(training_start_from=str(tmp_path / "net.keras"), model_pixel_normalization="range")
    chief, other = team.work(lambda index: find_start(config, training_run.Workers(tf.distribute.get_strategy())))
    assert chief.record == other.record
    assert other.pixels == {"value_range": [20, 220], "pixel_normalization": "range"}
    assert (chief.model.count_params() > 0, other.model) == (True, None)


def test_what_the_chief_knows_all_know(team: Team) -> None:
    arrays = {
        "half": np.array([0.5, -2], np.float16),
        "yes": np.array([True, False]),
        "seed": np.array([2**32 - 1], np.uint32),
    }

    def task(index: int) -> Any:
        workers = distribution.Workers(tf.distribute.get_strategy())
        own = arrays if workers.is_chief else {name: np.zeros_like(array) for name, array in arrays.items()}
        told = workers.chiefs({"best": None, "text": "ä"} if index == 0 else {"best": 0.125, "another": "x" * 99})
        return workers.any(index == 1), workers.any(False), told, workers.chiefs_arrays(own)

    for either, neither, told, received in team.work(task):
        assert (either, neither, told) == (True, False, {"best": None, "text": "ä"})
        for name, array in arrays.items():
            assert received[name].dtype == array.dtype
            np.testing.assert_array_equal(received[name], array)


def test_workers_take_the_same_steps_and_the_chief_alone_writes(
    team: Team, trainers: list[StubTrainer], stub_finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    said: list[list[str]] = [[], []]
    out = tmp_path / "run"
    report, others = team.work(lambda index: training.run(tiny(), out, data=cells(), say=said[index].append))
    assert others == {}
    assert said[1] == []
    assert_same_run(stub_finished, (out, report))
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in stub_finished[0].iterdir())
    assert len(list((out / "tensorboard").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert_same_state(*trainers)


def test_a_lost_worker_is_told_and_all_go_on_from_the_chiefs_checkpoint(
    team: Team,
    trainers: list[StubTrainer],
    stub_finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, out = StubTrainer.run, tmp_path / "run"

    def until_lost(self: StubTrainer, batches: Any, steps: int) -> float:
        loss = run(self, batches, steps)
        if team.me.index == 1 and self.step == 6:
            raise MemoryError
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(StubTrainer, "run", until_lost)
        left, lost = team.work(lambda index: training.run(tiny(), out, data=cells(), say=quiet))
    assert isinstance(lost, MemoryError)
    assert isinstance(left, WorkerLostError)
    assert str(left) == (
        "Expected all 2 workers to go on. Received: worker 1 no longer answers. Start all of them again; they go on "
        "from the last checkpoint."
    )
    assert steps_of(out)[-1] == 4
    trainers.clear()
    report, _ = team.work(lambda index: training.run(tiny(), out, data=cells(), say=quiet))
    assert_same_run(stub_finished, (out, report))
    assert_same_state(*trainers)


def test_several_workers_do_not_mend_a_model(
    team: Team, trainers: list[StubTrainer], stub_finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out = Path(shutil.copytree(stub_finished[0], tmp_path / "run"))
    (out / "model.keras").unlink()
    told, _ = team.work(lambda index: training.run(tiny(), out, data=cells(), say=quiet))
    assert isinstance(told, ConfigError)
    assert "start the command once without TF_CONFIG, which makes it anew" in str(told)
