"""Images cut to what a message holds: plans that cover the image, joins without a seam, sums that fit."""

import numpy as np
import pytest
from helpers.clients import connect, noise

import keras_unet as ku
from keras_unet.export import image_splitting
from keras_unet.export.client import Client
from keras_unet.export.client.formats import PngFormat, RawFormat
from keras_unet.models.geometry import Geometry


def told(geometry):
    return {
        "geometry": {"depth": geometry.depth, "padding": geometry.padding, "upsampling": geometry.upsampling},
    }


def test_the_papers_net_needs_a_context_of_its_92_pixels_rounded_up_to_its_stride():
    assert image_splitting.stride_and_context(told(Geometry())) == (16, 96)


def block_net(image, stride, blocks):
    """What a U-Net is to its input, in integers: sees so many blocks of stride by stride pixels around each block."""
    margin = blocks * stride
    padding = [(margin, margin + -size % stride) for size in image.shape]
    coarse = np.pad(image, padding, mode="reflect")
    coarse = coarse.reshape(coarse.shape[0] // stride, stride, coarse.shape[1] // stride, stride).max(axis=(1, 3))
    side = 2 * blocks + 1
    windows = np.lib.stride_tricks.sliding_window_view(coarse, (side, side))
    sums = np.einsum("rcij,ij->rc", windows, np.arange(1, side**2 + 1).reshape(side, side))
    return np.kron(sums, np.ones((stride, stride), int))[: image.shape[0], : image.shape[1]] * 1000 + image


@pytest.mark.parametrize("size", [(1, 900), (900, 3), (197, 231), (256, 160)])
@pytest.mark.parametrize("geometry", [Geometry(1), Geometry(2), Geometry(2, "same"), Geometry(3, "valid", "bilinear")])
def test_joined_pieces_have_no_seam_where_a_smaller_context_would(geometry, size):
    image = np.random.default_rng(0).integers(0, 1000, size)
    stride, context = image_splitting.stride_and_context(told(geometry))
    room = 2 * image_splitting.fewest_pixels(*size, stride, context)

    def net(pixels):
        return block_net(pixels, stride, context // stride)

    def joined(context):
        result = np.full(size, -1)
        plan = image_splitting.plan(*size, stride, context, room)
        assert len(plan) > 1
        for piece in plan:
            result[piece.kept] = net(image[piece.sent])[piece.answer]
        return result

    np.testing.assert_array_equal(joined(context), net(image))
    assert (joined(context - stride) != net(image)).any()


@pytest.mark.parametrize("max_pixels", [10_000, 40_000, 39_999])
@pytest.mark.parametrize("size", [(200, 200), (1, 60_000), (60_000, 1), (90, 1000)])
def test_a_plan_covers_the_image_once_in_messages_that_fit(size, max_pixels):
    counts = np.zeros(size, int)
    for piece in image_splitting.plan(*size, 16, 32, max_pixels):
        counts[piece.kept] += 1
        rows, columns = piece.sent
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= max_pixels
        assert rows.start % 16 == columns.start % 16 == 0
    assert (counts == 1).all()


@pytest.mark.parametrize(("scheme", "dtype"), [("rest", "uint8"), ("grpc", "uint16"), ("grpc", "raw")])
def test_pieces_are_normalised_by_the_whole_image(servers, models, scheme, dtype):
    if scheme == "grpc":
        pytest.importorskip("grpc")
    server, (model, _, _) = servers["by-image"], models["by-image"]
    signature = "serving_default" if dtype == "raw" else None
    image = (noise(150, 190) * np.linspace(0.1, 1.0, 190)[:, None]).astype("uint16" if dtype == "raw" else dtype)
    expected = ku.predict(model, image)
    server.requests.clear()
    with connect(getattr(server, scheme), "by-image", signature=signature, max_message_bytes=40_000) as client:
        answer = client.segment(image)
    assert len(server.requests) > 3
    np.testing.assert_allclose(answer.foreground, expected[..., 1], atol=2e-5)
    with connect(getattr(server, scheme), "by-image", signature=signature) as client:
        np.testing.assert_allclose(client.segment(image).foreground, expected[..., 1], atol=2e-5)


def test_a_message_without_room_for_any_piece_is_refused(server):
    with Client(server.rest, "cells", max_message_bytes=5000) as client:
        with pytest.raises(ValueError, match=r"Expected max_message_bytes of at least (\d+)") as refused:
            client.segment(noise(150, 190))
        smallest = int(str(refused.value).split("at least ")[1].split()[0])
    with connect(server.rest, "cells", max_message_bytes=smallest, concurrency=2) as client:
        assert client.segment(noise(20, 70)).classes.shape == (20, 70)


@pytest.mark.parametrize(
    ("scheme", "form", "limit"),
    [("http", PngFormat, 4), ("grpc", PngFormat, 4), ("grpc", RawFormat, 4), ("http", RawFormat, 64)],
)
def test_a_message_is_by_default_of_4_mib_and_of_64_for_raw_pixels_over_rest(scheme, form, limit):
    """Of the paper's net the smallest piece is 208 x 208 pixels: as JSON alone longer than 4 MiB."""
    if scheme == "grpc":
        pytest.importorskip("grpc")
    description = {**told(Geometry()), "num_classes": 2, "max_pixels": 2**26}
    image = np.zeros((3000, 3000, 1), np.float32 if form is RawFormat else np.uint16)
    with Client(f"{scheme}://localhost", "cells") as client:
        parts = client._pieces(image, form, description)
    pixels = max(image[part.sent].size for part in parts)
    sent = pixels * form.bytes_per_pixel(image, 2, scheme == "http")
    assert limit / 2 * 1024**2 < sent <= limit * 1024**2
    smallest = 208 * 208 * RawFormat.bytes_per_pixel(image, 2, True)
    assert 4 * 1024**2 < smallest < 64 * 1024**2
