"""What tests of training share: runs that end half-way, and whether one that went on is like one that did not stop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.runs import cells, quiet
from keras_unet import training
from keras_unet.training import checkpoints, run_loop
from keras_unet.training.checkpoints import Checkpoints, Progress
from keras_unet.training.config import Config


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def run_until_killed(config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends at step 6, its last checkpoint being of step 4."""
    advance = run_loop.Course._advance

    def until_killed(self: Any, batches: Any, progress: Progress, *others: Any) -> dict[str, float]:
        figures = advance(self, batches, progress, *others)
        if progress.step == 6:
            raise Killed
        return figures

    with monkeypatch.context() as patch:
        patch.setattr(run_loop.Course, "_advance", until_killed)
        with pytest.raises(Killed):
            training.run(config, folder, data=cells(), say=quiet)


def steps_of(folder: Path) -> list[int]:
    return Checkpoints(folder / "checkpoints").steps()


def assert_same_run(finished: tuple[Path, dict[str, Any]], other: tuple[Path, dict[str, Any]]) -> None:
    assert {**finished[1], "seconds": 0} == {**other[1], "seconds": 0}
    folders = finished[0], other[0]
    one, two = (checkpoints.read(folder / "checkpoints" / "step-00000006.npz")[0] for folder in folders)
    assert one.keys() == two.keys()
    assert any(name.startswith("random/") for name in one)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    logs = [[line.split(",") for line in (folder / "log.csv").open()] for folder in folders]
    assert [line[:3] + line[4:] for line in logs[0]] == [line[:3] + line[4:] for line in logs[1]], "all but the speed"
