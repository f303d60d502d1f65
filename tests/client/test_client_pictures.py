"""Encoded and raw answers that are no segmentation are the server's fault, and cost nothing."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from keras_unet.export.client import ServerError
from keras_unet.export.client.formats import PngFormat, RawFormat


@pytest.mark.parametrize(
    ("labels", "probability"), [(np.uint16, np.uint16), (np.uint8, np.uint8)], ids=["labels", "probability"]
)
def test_pictures_of_other_depths_are_no_answer(labels, probability):
    files = [cv2.imencode(".png", np.ones((3, 4), kind))[1].tobytes() for kind in (labels, probability)]
    answer = {name: np.array([file], object) for name, file in zip(PngFormat.outputs, files, strict=True)}
    with pytest.raises(ServerError, match="Expected one grey uint"):
        PngFormat.result(answer, (3, 4), 2)


def declared_png(height, width, bits):
    """A PNG file of a few bytes that declares a size; cut off after its first kilobyte of zeros."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(60_000, 60_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (9, 8)])
def test_a_picture_that_declares_another_size_is_not_decoded(size, monkeypatch):
    monkeypatch.delattr(cv2, "imdecode")
    files = declared_png(*size, 8), declared_png(*size, 16)
    answer = {name: np.array([file], object) for name, file in zip(PngFormat.outputs, files, strict=True)}
    with pytest.raises(ServerError, match=rf"of \(8, 9\) pixels. Received \({size[0]}, {size[1]}\) in label_png_bytes"):
        PngFormat.result(answer, (8, 9), 2)


def test_what_opencv_gives_up_at_is_no_answer():
    answer = {name: np.array([declared_png(60_000, 60_000, 8)], object) for name in PngFormat.outputs}
    with pytest.raises(ServerError, match="Expected one grey uint8 PNG in label_png_bytes. Received something else"):
        PngFormat.result(answer, (60_000, 60_000), 2)


@pytest.mark.parametrize(("num_classes", "last"), [(1, 1), (2, 1), (3, 2)])
def test_labels_of_classes_that_the_model_has_not_are_no_answer(num_classes, last):
    def answer(label):
        files = np.full((3, 4), label, np.uint8), np.ones((3, 4), np.uint16)
        encoded = (np.array([cv2.imencode(".png", file)[1].tobytes()], object) for file in files)
        return dict(zip(PngFormat.outputs, encoded, strict=True))

    assert (PngFormat.result(answer(last), (3, 4), num_classes).classes == last).all()
    with pytest.raises(ServerError, match=f"Expected classes up to {last}. Received {last + 1}"):
        PngFormat.result(answer(last + 1), (3, 4), num_classes)


def test_probabilities_that_are_not_finite_are_no_answer():
    with pytest.raises(ServerError, match="Expected finite probabilities"):
        RawFormat.result({"probabilities": np.full((1, 2, 3, 2), np.nan)}, (2, 3), 2)


@pytest.mark.parametrize("dtype", [object, bool])
def test_probabilities_that_are_no_numbers_are_told_by_their_dtype(dtype):
    with pytest.raises(ServerError, match=f"Expected probabilities in numbers. Received .* {np.dtype(dtype)}"):
        RawFormat.result({"probabilities": np.zeros((1, 2, 3, 2), dtype)}, (2, 3), 2)
