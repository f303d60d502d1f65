"""A model's description is checked where it is read."""

import json

import pytest
from helpers.clients import DESCRIPTION, nested, noise

from keras_unet.export.client import Client, ServerError


@pytest.mark.parametrize(
    "outputs",
    [
        None,
        5,
        [],
        ["[]"],
        ["null"],
        ['{"format": 1}'],
        [1],
        [[]],
        [{"x": "y"}],
        ["x", 5],
        [{"b64": 5}],
        ["[" * 200_000],
    ],
)
def test_a_description_of_something_else_is_named(outputs, monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: outputs)
    with pytest.raises(ServerError, match="Expected"):
        client.description()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 2),
        ("format", nested(900)),
        *[("input", value) for value in (None, "x", [], {})],
        *[("input.dtype", value) for value in (None, "banana", "object", "float64", 5, ["uint8"])],
        *[("input.channels", value) for value in (None, "1", 0, -1, 1.0, True, nested(900))],
        *[("input.value_range", value) for value in ("x", [0], [0, None], [0, float("nan")], [0, 10**400])],
        *[("num_classes", value) for value in (None, "2", 0, -5, True, 10**9)],
        *[("geometry", value) for value in (None, "x", [], {})],
        *[("geometry.depth", value) for value in (None, "2", -1, 0, 30, 10**9, nested(900))],
        *[("geometry.padding", value) for value in (None, "x", ["same"])],
        *[("geometry.upsampling", value) for value in (None, "x", {})],
        *[("max_pixels", value) for value in (None, "x", 0, -1, 0.5)],
        ("metadata", None),
    ],
)
def test_a_description_that_no_exported_model_has_is_refused_where_it_is_read(name, value, monkeypatch):
    first, _, second = name.partition(".")
    changed = {**DESCRIPTION, first: {**DESCRIPTION[first], second: value} if second else value}
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: [json.dumps(changed)])
    with pytest.raises(ServerError, match=rf"^Expected .*\b{name}\b.*\. Received .*\.$") as refused:
        client.segment(noise(8, 9))
    assert len(str(refused.value)) < 400


def test_an_exported_models_description_is_taken(monkeypatch):
    client = Client("http://localhost:8501", "cells")
    monkeypatch.setattr(client._channel, "_answer", lambda *_: [json.dumps(DESCRIPTION)])
    assert client.description() == DESCRIPTION
