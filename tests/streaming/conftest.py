"""A model, its file and its export, and small panels for tests of streaming."""

import functools
from dataclasses import replace

import pytest
import tensorflow as tf
from helpers import nets
from helpers.streaming import net

from keras_unet.commands import stream as command
from keras_unet.inference.streaming import pieces, streamed_prediction, targets
from keras_unet.models import unet


@pytest.fixture(scope="session")
def model():
    return net()


@pytest.fixture(scope="session")
def net_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def exported(model):
    return nets.exported(model, tile=76, input_dtype="uint8")


@pytest.fixture
def small(monkeypatch):
    """Panels and tiles so small that a small image has several of each."""
    monkeypatch.setattr(targets, "TILE", 32)
    monkeypatch.setattr(streamed_prediction, "TILE", 32)
    monkeypatch.setattr(streamed_prediction, "_PANEL_BYTES", 32 * 1024)


@functools.cache
def _cut(model, settings, size, dtype):
    tile, output, batch_size, averaging = settings
    return pieces.net_segmenter(model, tile, output, batch_size, averaging).pieces(size, dtype, None)


def _net_segmenter(model, tile, output, batch_size=1, averaging="none"):
    segmenter = pieces.net_segmenter(model, tile, output, batch_size, averaging)
    settings = tuple(segmenter.settings["tile"]), output, batch_size, averaging

    def cut(size, dtype, statistics):
        return _cut(model, settings, size, dtype) if statistics is None else segmenter.pieces(size, dtype, statistics)

    return replace(segmenter, pieces=cut)


@pytest.fixture(autouse=True)
def nets_are_loaded_and_compiled_once(monkeypatch):
    """Else each call loads the net or its export, and compiles the net for the size of its image, again."""
    monkeypatch.setattr(tf.saved_model, "load", nets.loaded)
    monkeypatch.setattr(unet, "load_model", nets.load_once)
    for module in (streamed_prediction, command):
        monkeypatch.setattr(module, "net_segmenter", _net_segmenter)
