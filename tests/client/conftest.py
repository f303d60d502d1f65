"""Models behind a stand-in for TensorFlow Serving, started once for all tests of the client."""

import pytest
from helpers.clients import TILE
from helpers.nets import exported, net
from helpers.stand_in_server import StandIn

from keras_unet.export.client import parallel


@pytest.fixture(scope="session")
def models():
    """16 bit, colour, and one with two channels, which PNG does not hold."""
    return {
        "cells": (net(value_range=(0, 65535)), "uint16", {"threshold": 0.52}),
        "colour": (net(1, 3, num_classes=3, value_range=(0, 255), padding="same"), "float32", None),
        "by-image": (net(pixel_normalization="image"), "uint16", None),
        "pair": (net(2, 2, num_classes=1, value_range=(0, 255), upsampling="bilinear"), "float32", None),
    }


@pytest.fixture(scope="session")
def servers(models):
    running = {}
    for name, (model, dtype, metadata) in models.items():
        folder = exported(model, name, tile=TILE, input_dtype=dtype, metadata=metadata)
        running[name] = StandIn(folder.parent, labels={"stable": 1})
    yield running
    for server in running.values():
        server.close()


@pytest.fixture
def server(servers):
    servers["cells"].faults.clear()
    servers["cells"].requests.clear()
    return servers["cells"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(parallel, "_FIRST_PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy would not know this loopback
