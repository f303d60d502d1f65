"""Arguments, addresses and images that the client refuses before anything travels."""

import numpy as np
import pytest
from helpers.clients import noise

from keras_unet.export.client import Client
from keras_unet.export.client.formats import fitting_pixels
from keras_unet.export.client.server_addresses import read_address


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"timeout": float("nan")}, "timeout above 0"),
        ({"timeout": float("inf")}, "timeout above 0"),
        ({"headers": {"a b": "x"}}, "letters, digits and hyphens"),
        ({"headers": {"Authorization": "Bearer \u20ac"}}, "printable ASCII"),
        ({"headers": {"A": "x\ny"}}, "printable ASCII"),
        ({"url": "localhost:8501"}, "Expected an address such as"),
        ({"url": "ftp://localhost"}, "Expected an address such as"),
        ({"signature": "classes"}, "image_bytes, serving_default"),
        ({"max_message_bytes": 0}, "max_message_bytes from 1"),
        ({"max_message_bytes": 2**31}, "max_message_bytes from 1 to 2147483647"),
        ({"url": "grpc://localhost", "max_message_bytes": 2**40}, "max_message_bytes from 1 to 2147483647"),
        ({"version": 10**20}, "Expected a version up to 9223372036854775807"),
        ({"version": 2**63}, "Expected a version up to"),
        ({"version": -1}, "Expected a whole number of at least 0 for version"),
        ({"version": 1.5}, "Expected a whole number"),
        ({"version": ""}, "Expected a label of a version of at least one character"),
        ({"version": "\ud800"}, "Expected a label of a version"),
        ({"model": ""}, "Expected a model of at least one character"),
        ({"model": "\ud800"}, "Expected a model"),
        ({"url": "grpc://localhost", "headers": {"a-bin": "x"}}, "which gRPC keeps for itself. Received 'a-bin'"),
        ({"url": "grpc://localhost", "headers": {"Grpc-Foo": "x"}}, "which gRPC keeps for itself"),
        ({"timeout": 0}, "timeout above 0"),
        ({"retries": -1}, "retries from 0"),
        ({"concurrency": 0}, "concurrency from 1"),
    ],
)
def test_illegal_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Client(**{"url": "http://localhost", "model": "cells", **arguments})


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@host:8501",
        "grpc://user:secret@host",
        "https://user:se/cret@host",
        "user:secret@host",
        "http://secret@host",
        "ftp://user:secret@[",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_told(url):
    with pytest.raises(ValueError, match="without user and password, which travel as headers=") as refused:
        Client(url, "cells")
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs"])
@pytest.mark.parametrize(
    "rest",
    [
        "host:99999",
        "host:0",
        "host:-1",
        "host:abc",
        "127.0.0.1:abc",
        "host:1:2",
        "host?x=1",
        "host:80#f",
        "host:80/?x=1",
        "[::1",
        "::1]:80",
        "[::1]x:80",
        "[banana]",
        "a b:80",
        "a\tb",
        " host",
        "host\n",
        "h\u00e9\u2603",
        "a..b",
        f"{'a' * 64}.com",
        ".".join(["a" * 60] * 5),
        ":80",
        "/x",
        "",
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_once(scheme, rest):
    with pytest.raises(
        ValueError, match=r"^Expected an address such as http://host:8501 or grpc://host:8500\. Received"
    ):
        Client(f"{scheme}://{rest}", "cells")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://host:8501/v1/models/cells", "Expected the address of the server alone"),
        ("grpc://host:8500/behind", "without a path"),
    ],
)
def test_an_address_with_a_path_is_told_what_it_should_be(url, sentence):
    with pytest.raises(ValueError, match=sentence):
        Client(url, "cells")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://host", "http://host"),
        ("HTTP://under_score.local.:8501/", "HTTP://under_score.local.:8501"),
        ("https://host/behind/a/proxy/", "https://host/behind/a/proxy"),
        ("http://[::1]:8501", "http://[::1]:8501"),
        ("grpc://host", "host:8500"),
        ("grpc://host:/", "host:8500"),
        ("grpcs://10.0.0.1:9", "10.0.0.1:9"),
        ("grpc://[::1]", "[::1]:8500"),
        ("grpc://[fe80::1%eth0]:65535", "[fe80::1%eth0]:65535"),
    ],
)
def test_addresses_of_every_kind_are_read(url, place):
    assert read_address(url) == (url.partition(":")[0].lower(), place)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (noise(5, 5, 3), r"shape \(height, width, 1\)"),
        (np.zeros((0, 5, 1), np.uint8), "at least one pixel"),
        (np.zeros((1, 5, 5, 1), np.uint8), "Received shape"),
        (noise(5, 5, 1, np.int16), "Expected uint16 pixels as chosen at export. Received int16"),
        (np.zeros((5, 5), np.float32), "Received float32"),
    ],
)
def test_images_that_do_not_fit_are_refused_before_they_travel(server, image, sentence):
    with Client(server.rest, "cells") as client:
        client.description()
        server.requests.clear()
        with pytest.raises(ValueError, match=sentence):
            client.segment(image)
        assert server.requests == []


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_pixels_beyond_float32_are_refused(value):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="finite pixel values"):
        fitting_pixels(np.full((2, 2), value), {"input": {"channels": 1, "dtype": "float32"}})


def test_raw_16_bit_pixels_need_grpc(servers):
    client = Client(servers["cells"].rest, "cells", signature="serving_default")
    with client, pytest.raises(ValueError, match="Expected a gRPC address"):
        client.segment(noise(5, 5, 1, np.uint16))
