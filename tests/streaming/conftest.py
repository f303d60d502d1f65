"""Models and small panels for tests of streaming."""

import pytest
from helpers.streaming import net

import keras_unet as ku
from keras_unet import streaming, targets


@pytest.fixture(scope="session")
def model():
    return net()


@pytest.fixture
def small(monkeypatch):
    """Panels and tiles so small that a small image has several of each."""
    monkeypatch.setattr(targets, "TILE", 32)
    monkeypatch.setattr(streaming, "TILE", 32)
    monkeypatch.setattr(streaming, "_PANEL_BYTES", 32 * 1024)


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    return ku.export.save(model, tmp_path_factory.mktemp("models") / "m", tile=76, input_dtype="uint8", verify=False)
