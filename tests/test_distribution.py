"""Several worker processes, on this machine: the same curve as one, one run folder, an end when a worker is lost.

Every process has a hard time limit and is killed at the end; most of the time goes into starting TensorFlow.
`test_training_workers` has workers that are threads.
"""

import csv
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_unet.training.checkpoints import Checkpoints
from keras_unet.training.cluster import read_cluster
from keras_unet.training.config import ConfigError
from keras_unet.training.distribution import Workers, choose_strategy, joined

SECONDS = 300  # on a busy machine; a free one takes a tenth of it
CONFIG = """
data = {name = "synthetic", options = {count = 5, size = 48, seed = 0}, validate = 0.2}
model = {padding = "same", filters = 2, depth = 1, dropout = 0.0}
optimizer = {name = "sgd", momentum = 0.9, learning_rate = 0.01}
[training]
steps = 200
batch_size = 4
input_size = 32
log_every = 25
validate_every = 100
checkpoint_every = 25
"""

Processes = list[subprocess.Popen[str]]


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Whatever is put in is killed at the end of the test."""
    started: Processes = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(CONFIG)
    return path


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def tf_config(ports: list[int], index: int) -> str:
    addresses = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def start(config: Path, out: Path, changes: tuple[str, ...] = (), tf_config: str = "") -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).parent / "keras-unet"), "train", str(config), "--out", str(out)]
    return subprocess.Popen(
        [*command, *(part for change in changes for part in ("--set", change))],
        env={**os.environ, "TF_CONFIG": tf_config, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(config: Path, out: Path, *changes: str) -> Processes:
    ports = free_ports(2)
    return [start(config, out, changes, tf_config(ports, index)) for index in range(2)]


def curve(out: Path) -> list[dict[str, float]]:
    with open(out / "log.csv", newline="") as file:
        return [
            {name: float(value) for name, value in line.items() if value and name != "images_per_second"}
            for line in csv.DictReader(file)
        ]


def assert_same_curve(one: Path, other: Path) -> None:
    lines = list(zip(curve(one), curve(other), strict=True))
    assert [line["step"] for line, _ in lines] == list(range(25, 201, 25))
    for expected, received in lines:
        assert received == pytest.approx(expected, rel=1e-3)


@pytest.fixture(scope="module")
def alone(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process with the joint batch."""
    out = tmp_path_factory.mktemp("alone") / "run"
    process = start(config, out)
    try:
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return out


@pytest.mark.slow
@pytest.mark.parametrize("place", ["cpu", "device"])
def test_two_workers_train_as_one_and_the_chief_alone_writes(
    config: Path, alone: Path, tmp_path: Path, processes: Processes, place: str
) -> None:
    """The same curve, files and validation figures wherever tiles are warped; the other worker leaves nothing."""
    out = tmp_path / "run"
    processes += start_two(config, out, f"training.augment_on={place}")
    (_, errors), (said, others_errors) = (process.communicate(timeout=SECONDS) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], errors + others_errors
    assert said == ""
    assert_same_curve(alone, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in alone.iterdir())
    assert len(list((out / "tensorboard").iterdir())) == 1


@pytest.mark.slow
def test_a_lost_worker_ends_the_run_and_all_of_them_go_on_from_the_checkpoint(
    config: Path, alone: Path, tmp_path: Path, processes: Processes
) -> None:
    out = tmp_path / "run"
    processes += start_two(config, out)
    wait_for(lambda: Checkpoints(out / "checkpoints").steps() != [], processes)
    processes[1].kill()
    _, errors = processes[0].communicate(timeout=SECONDS)
    assert processes[0].returncode == 1
    assert errors.splitlines()[-1].endswith("Start all of them again; they go on from the last checkpoint.")
    assert "Traceback" not in errors
    again = start_two(config, out)
    processes += again
    said = [process.communicate(timeout=SECONDS)[0] for process in again]
    assert "Resuming at step" in said[0]
    assert_same_curve(alone, out)


def wait_for(condition: Any, processes: Processes) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < SECONDS, "nothing happened in time"
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_a_port_that_is_taken_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("TF_CONFIG", tf_config([taken.getsockname()[1], 1], 0))
        with pytest.raises(ConfigError, match=r"Expected a free port at 127\.0\.0\.1:\d+ .* Received: Address already"):
            choose_strategy()


TWO = {"worker": ["a:1", "b:2"]}
THREE = {**TWO, "chief": ["c:3"]}
FIRST = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("{}", None),
        ('{"task": {"type": "worker", "index": 0}}', None),
        (json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 1}}), (("a:1", "b:2"), 1)),
        (
            json.dumps({"cluster": THREE, "task": FIRST}),
            (("c:3", "a:1", "b:2"), 1),
        ),
        (
            json.dumps({"cluster": THREE, "task": {"type": "chief", "index": 0}}),
            (("c:3", "a:1", "b:2"), 0),
        ),
    ],
)
def test_tf_config_says_who_takes_part(text: str, expected: tuple[tuple[str, ...], int] | None) -> None:
    cluster = read_cluster(text)
    assert (None if cluster is None else (cluster.addresses, cluster.index)) == expected


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("{", "no JSON"),
        ("[1]", r"\[1\]"),
        (json.dumps({"cluster": ["a:1"]}), "cluster"),
        (json.dumps({"cluster": {**TWO, "ps": ["c:3"]}, "task": FIRST}), '"ps"'),
        (json.dumps({"cluster": {"worker": "a:1"}, "task": FIRST}), "worker 'a:1'"),
        (json.dumps({"cluster": {"worker": ["a"]}, "task": FIRST}), r"\['a'\]"),
        (json.dumps({"cluster": {"worker": ["a:x"]}, "task": FIRST}), r"\['a:x'\]"),
        (json.dumps({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}), "twice"),
        (json.dumps({"cluster": TWO}), "task None"),
        (json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 2}}), "2 workers"),
        (json.dumps({"cluster": TWO, "task": {"type": "worker", "index": "0"}}), "index"),
        (json.dumps({"cluster": TWO, "task": {"type": "chief", "index": 0}}), "0 chief"),
        (json.dumps({"cluster": TWO, "task": {"type": ["worker"], "index": 0}}), "task"),
    ],
)
def test_a_malformed_tf_config_is_told_in_one_sentence(text: str, received: str) -> None:
    with pytest.raises(ConfigError, match=f"^TF_CONFIG: Expected .* Received .*{received}"):
        read_cluster(text)


def test_a_cluster_of_one_is_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1"]}, "task": FIRST}))
    assert choose_strategy(["CPU:0"]).num_replicas_in_sync == 1


def test_a_worker_alone_decides_by_itself() -> None:
    workers = Workers(tf.distribute.get_strategy())
    assert (workers.is_chief, workers.index, workers.count) == (True, 0, 1)
    assert (workers.any(False), workers.any(True)) == (False, True)
    assert workers.chiefs({"best": None}) == {"best": None}
    arrays = {"seed": np.arange(2, dtype=np.uint32)}
    assert workers.chiefs_arrays(arrays) == arrays


def test_errors_of_a_run_of_one_process_are_not_laid_on_others(tmp_path: Path) -> None:
    with pytest.raises(tf.errors.UnavailableError), joined(tf.distribute.get_strategy(), tmp_path):
        raise tf.errors.UnavailableError(None, None, "something else")
