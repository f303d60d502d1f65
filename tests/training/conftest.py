"""A run that nothing interrupted, made once for all tests of training."""

from pathlib import Path
from typing import Any

import pytest
from helpers.runs import cells, quiet, tiny

from keras_unet import training


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder and report of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, training.run(tiny(), folder, data=cells(), say=quiet)
