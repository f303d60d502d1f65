"""`keras-unet segment`, once where TensorFlow cannot be imported."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from helpers.clients import QUANTUM, TILE, address, noise, schemes
from helpers.command_line import done, mistake, run
from PIL import Image

from keras_unet import image_io
from keras_unet.inference.tiling import predict
from keras_unet.instances.components import instances

NO_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "tf_keras"):
    sys.modules[name] = None
"""


def test_the_client_loads_neither_tensorflow_nor_scipy():
    code = NO_TENSORFLOW + "import keras_unet.export.client; print('scipy' in sys.modules, 'grpc' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout.split() == ["False", "False"], process.stderr


def check_results(out, printed, model, image, objects):
    """The files of one.png and of two pages of stack.tif, all three of them `image`."""
    kinds = ["labels.png", "foreground.tif", "overlay.png"] + ["instances.tif"] * objects
    names = {f"{stem}_{kind}" for stem in ("one", "stack_0000", "stack_0001") for kind in kinds}
    assert {path.name for path in out.iterdir()} == names
    assert names <= {Path(line).name for line in printed.splitlines()}
    expected = predict(model, image, tile=TILE)
    np.testing.assert_array_equal(image_io.read_labels(out / "stack_0001_labels.png"), expected.argmax(-1))
    foreground = image_io.read_image(out / "one_foreground.tif")[..., 0]
    np.testing.assert_allclose(foreground, 1 - expected[..., 0], rtol=0, atol=QUANTUM)
    if objects:
        found = instances(foreground, 0.52, expand=2)  # the threshold in the description
        np.testing.assert_array_equal(image_io.read_labels(out / "one_instances.tif"), found)


@pytest.fixture
def files(tmp_path):
    """An image, and the two files that hold it."""
    image = noise(33, 47)
    Image.fromarray(image[..., 0]).save(tmp_path / "one.png")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([image[..., 0]] * 2), photometric="minisblack")
    return image, (tmp_path / "one.png", tmp_path / "stack.tif")


@schemes
def test_the_command_writes_labels_foreground_and_overlay(models, server, files, tmp_path, scheme):
    image, paths = files
    options = ("--model", "cells", "--version", "stable", "--out", tmp_path / "out")
    printed = done("segment", address(server, scheme), *paths, *options)
    check_results(tmp_path / "out", printed, models["cells"][0], image, objects=False)


def test_the_command_segments_and_tells_objects_apart_where_tensorflow_cannot_be_imported(
    models, server, files, tmp_path
):
    """Over REST and gRPC, and then a mistake, in a process of its own."""
    image, paths = files
    calls = []
    for scheme in ("rest", "grpc"):
        options = ("--model", "cells", "--version", "stable", "--out", tmp_path / scheme, "--instances")
        calls.append(["segment", *map(str, (address(server, scheme), *paths, *options))])
    mistaken = ["segment", server.rest, str(paths[0]), "--model", "cell", "--out", str(tmp_path / "none")]
    code = NO_TENSORFLOW + "from keras_unet.cli import app, main"
    code += f"\nfor call in {calls!r}: app(call, standalone_mode=False)"
    code += f"\nsys.argv[1:] = {mistaken!r}\nmain()"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert process.returncode == 1, process.stderr
    assert process.stderr.splitlines()[-1].startswith("keras-unet: Expected a model 'cell'")
    assert "Traceback" not in process.stderr
    for scheme in ("rest", "grpc"):
        check_results(tmp_path / scheme, process.stdout, models["cells"][0], image, objects=True)


def test_the_command_warns_of_pixels_far_from_the_models(server, tmp_path):
    Image.fromarray(noise(9, 9)[..., 0]).save(tmp_path / "8-bit.png")
    cv2.imwrite(str(tmp_path / "16-bit.png"), noise(9, 9, 1, np.uint16))
    files = (tmp_path / "8-bit.png", tmp_path / "16-bit.png")
    ended = run("segment", server.rest, *files, "--model", "cells", "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    told = [line for line in ended.stderr.splitlines() if "far from" in line]
    assert len(told) == 1
    assert "8-bit.png" in told[0]
    assert "(uint8), are far from the 0 to 65535 of" in told[0]


def test_the_command_ends_in_one_sentence_and_status_1(server, tmp_path):
    Image.fromarray(noise(9, 9)[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(noise(9, 9, 3)).save(tmp_path / "colour.png")
    for arguments, sentence in [
        ((server.rest, tmp_path / "colour.png", "--model", "cells"), "colour.png: Expected an image of shape"),
        ((server.rest, tmp_path / "grey.png", "--model", "cell"), "Expected a model 'cell'"),
        (("http://127.0.0.1:1", tmp_path / "grey.png", "--model", "cells", "--retries", "0"), "UNAVAILABLE"),
        ((server.rest, tmp_path / "none.png", "--model", "cells"), "not found"),
        (("server", tmp_path / "grey.png", "--model", "cells"), "Expected an address"),
        (
            (server.rest, tmp_path / "grey.png", "--model", "cells", "--max-message-bytes", 2**31),
            "Expected max_message_bytes from 1 to 2147483647",
        ),
    ]:
        assert sentence in mistake("segment", *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_the_server_refuses_does_not_keep_the_others_from_being_segmented(server, tmp_path):
    (tmp_path / "images").mkdir()
    for name, channels in (("a", 1), ("b", 3), ("d", 1)):
        Image.fromarray(noise(9, 9, channels).squeeze()).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "c.png").write_text("no image")
    ended = run("segment", server.rest, tmp_path / "images", "--model", "cells", "--out", tmp_path / "out")
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    told = [line for line in lines if line.startswith("keras-unet: ") and "are far from" not in line]
    assert {name for name in "abcd" if any(f"{name}.png" in line for line in told[:2])} == {"b", "c"}
    assert told[2] == "keras-unet: Expected to segment 4 files. Received 2 that could not be, told above."
    assert {path.stem[0] for path in (tmp_path / "out").iterdir()} == {"a", "d"}
