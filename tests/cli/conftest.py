"""A small net in a file for the tests of the command, which loads it once for all of them."""

from pathlib import Path

import pytest
from helpers.nets import load_once, new_net

from keras_unet.models import unet


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.keras"
    new_net(depth=1).save(path)
    return path


@pytest.fixture(autouse=True)
def nets_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each call of the command loads its net, and compiles the prediction of it, again."""
    monkeypatch.setattr(unet, "load_model", load_once)
