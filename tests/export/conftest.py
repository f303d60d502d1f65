"""A model and its export, made once for all tests of export."""

import pytest
from helpers.exports import TILE, net

from keras_unet import export


@pytest.fixture(scope="session")
def model():
    model = net()
    model.compile(optimizer="adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="session")
def folder(model, tmp_path_factory):
    names = ("background", "cell", "border")
    base = tmp_path_factory.mktemp("models") / "cells"
    return export.save(
        model, base, tile=TILE, input_dtype="uint8", class_names=names, metadata={"um": 0.5}, verify=False
    )
