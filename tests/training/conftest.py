"""Runs that nothing interrupted, made once for all tests of training, and training without a net."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.runs import averaging, cells, quiet, tiny
from helpers.stub_training import stubbed

from keras_unet import training


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder and report of a run of `averaging()` that nothing interrupted. To be copied before it is damaged."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, training.run(averaging(), folder, data=cells(), say=quiet)


@pytest.fixture
def stub_training() -> Iterator[None]:
    """Whatever the test trains is a stand-in."""
    with stubbed():
        yield


@pytest.fixture(scope="session")
def stub_finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder and report of a stand-in's run of `tiny()` that nothing interrupted. To be copied before it is damaged."""
    folder = tmp_path_factory.mktemp("runs") / "stand-in"
    with stubbed():
        return folder, training.run(tiny(), folder, data=cells(), say=quiet)
