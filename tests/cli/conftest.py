"""A small net in a file for the tests of the command."""

from pathlib import Path

import pytest

import keras_unet as ku


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.keras"
    ku.UNet((None, None, 1), filters=2, depth=1).save(path)
    return path
