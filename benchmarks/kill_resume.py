"""Whether a run that is killed again and again ends, bit for bit, like one that nothing interrupted.

    python benchmarks/kill_resume.py [--kills 20] [--seed 0]

A small run with dropout, augmentation, accumulated gradients and averaged weights is started, killed (SIGKILL) at a
random moment and started again by the same call; if it ends before all kills are done, another one is begun. The
moments lie in the start as well as in steps, validations and the writing of files. Compared are the last checkpoint
(weights, averages, optimizer, dropout's seeds), the log and the report. Every start is a process of
its own, forked before TensorFlow computes anything, with one thread and deterministic operations. Exit status 0 if
all is equal.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.training.checkpoints import Checkpoints, read
from keras_unet.training.config import Config, config_from_dict
from keras_unet.training.run_folder import RunFolder
from keras_unet.training.training_run import run

EVERY = 2  # steps between two checkpoints
MOST = 2  # checkpoints that a start may write before it is killed


def config(steps: int) -> Config:
    sections = {
        "data": {"validate": 1 / 3},
        "model": {"filters": 2, "depth": 1, "padding": "same", "dropout": 0.3},
        "optimizer": {"schedule": "cosine", "ema_decay": 0.9},
        "training": {"steps": steps, "batch_size": 2, "accumulate": 2, "input_size": 32, "deterministic": True},
    }
    sections["training"] |= {"log_every": 3, "validate_every": 5, "checkpoint_every": EVERY}
    return config_from_dict(sections)


def train(steps: int, folder: Path) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    run(config(steps), folder, data=synthetic(3, 64), say=lambda line: None)


def start(steps: int, folder: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=train, args=(steps, folder))
    process.start()
    return process


def last_step(folder: Path) -> int:
    return max(Checkpoints(RunFolder(folder).checkpoints).steps(), default=0)


def uninterrupted(steps: int, folder: Path) -> tuple[float, float]:
    """Run to the end; seconds until the first checkpoint, and between two."""
    begun, process = time.monotonic(), start(steps, folder)
    while process.is_alive() and not last_step(folder):
        time.sleep(0.001)
    first = time.monotonic()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"Expected the uninterrupted run to end well. Received exit status {process.exitcode}.")
    return first - begun, (time.monotonic() - first) / (steps / EVERY)


def kill_once(steps: int, folder: Path, moment: random.Random, seconds: tuple[float, float]) -> bool:
    """Start, and kill in the start or after some checkpoints; False if the process ended before."""
    process, before, checkpoints = start(steps, folder), last_step(folder), moment.randint(0, MOST)
    while process.is_alive() and last_step(folder) < before + checkpoints * EVERY:
        time.sleep(0.001)
    process.join(moment.uniform(0, seconds[min(checkpoints, 1)]))
    process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"Expected a run that goes on until it is killed. Received exit status {process.exitcode}.")
    return process.exitcode != 0


def differences(one: Path, other: Path, steps: int) -> list[str]:
    """What differs between two finished runs."""
    name = f"step-{steps:08d}.npz"
    arrays, others = (read(RunFolder(folder).checkpoints / name)[0] for folder in (one, other))
    logs = [[line.split(",")[:3] for line in RunFolder(folder).log.open()] for folder in (one, other)]
    reports = [json.loads(RunFolder(folder).report.read_text()) | {"seconds": None} for folder in (one, other)]
    return [
        *(key for key in arrays if arrays[key].tobytes() != others[key].tobytes()),
        *(["log.csv"] if logs[0] != logs[1] else []),
        *(["report.json"] if reports[0] != reports[1] else []),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    steps, moment = EVERY * (MOST + 1) * (arguments.kills + 2), random.Random(arguments.seed)
    kills, runs, differing = 0, 0, []
    with tempfile.TemporaryDirectory() as work:
        whole = Path(work, "whole")
        seconds = uninterrupted(steps, whole)
        print(f"{steps} steps: {seconds[0]:.1f} s to start, {seconds[1]:.2f} s a checkpoint", flush=True)
        while kills < arguments.kills:
            runs, killed = runs + 1, Path(work, f"killed-{runs}")
            while kills < arguments.kills and not RunFolder(killed).report.exists():
                kills += kill_once(steps, killed, moment, seconds)
                print(f"kill {kills}: last checkpoint of step {last_step(killed)}", flush=True)
            if not RunFolder(killed).report.exists():
                uninterrupted(steps, killed)
            differing += differences(whole, killed, steps)
        numbers = sum(
            np.size(array) for array in read(RunFolder(whole).checkpoints / f"step-{steps:08d}.npz")[0].values()
        )
    outcome = f"differing in {', '.join(differing)}" if differing else "bit for bit equal"
    print(f"{kills} kills of {runs} runs, {numbers} numbers: {outcome}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
