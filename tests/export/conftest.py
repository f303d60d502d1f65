"""A model and its export, made once for all tests of export."""

import pytest
from helpers.exports import TILE, net
from helpers.nets import exported


@pytest.fixture(scope="session")
def model():
    """Compiled, with an optimizer that holds variables: none of that belongs in an export."""
    model = net()
    if not model.compiled:
        model.compile(optimizer="adam", loss="mse")
        model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="session")
def folder(model):
    names = ("background", "cell", "border")
    return exported(model, tile=TILE, input_dtype="uint8", class_names=names, metadata={"um": 0.5})
