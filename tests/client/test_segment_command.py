"""`keras-unet segment` where TensorFlow cannot be imported."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from helpers.clients import QUANTUM, TILE, address, noise, schemes
from PIL import Image

from keras_unet import image_io
from keras_unet.instances import instances
from keras_unet.tiling import predict

NO_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "tf_keras"):
    sys.modules[name] = None
"""


def test_the_client_loads_neither_tensorflow_nor_scipy():
    code = NO_TENSORFLOW + "import keras_unet.export.client; print('scipy' in sys.modules, 'grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


def command(*arguments):
    """`keras-unet segment` where TensorFlow cannot be imported."""
    code = (
        NO_TENSORFLOW + f"sys.argv[1:] = {['segment', *map(str, arguments)]!r}; from keras_unet.cli import main; main()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)


@schemes
@pytest.mark.parametrize("objects", [[], ["--instances"]])
def test_the_command_writes_labels_foreground_overlay_and_instances(models, server, tmp_path, scheme, objects):
    image = noise(33, 47)
    Image.fromarray(image[..., 0]).save(tmp_path / "one.png")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([image[..., 0]] * 2), photometric="minisblack")
    files = (tmp_path / "one.png", tmp_path / "stack.tif")
    url, out = address(server, scheme), tmp_path / "out"
    done = command(url, *files, "--model", "cells", "--version", "stable", "--out", out, *objects)
    assert done.returncode == 0, done.stderr
    kinds = ["labels.png", "foreground.tif", "overlay.png"] + ["instances.tif"] * len(objects)
    stems = ("one", "stack_0000", "stack_0001")
    names = {f"{stem}_{kind}" for stem in stems for kind in kinds}
    assert {path.name for path in out.iterdir()} == names
    assert names <= {Path(line).name for line in done.stdout.splitlines()}
    expected = predict(models["cells"][0], image, tile=TILE)
    np.testing.assert_array_equal(image_io.read_labels(out / "stack_0001_labels.png"), expected.argmax(-1))
    foreground = image_io.read_image(out / "one_foreground.tif")[..., 0]
    np.testing.assert_allclose(foreground, 1 - expected[..., 0], rtol=0, atol=QUANTUM)
    if objects:
        found = instances(foreground, 0.52, grow=1)  # the threshold in the description
        np.testing.assert_array_equal(image_io.read_labels(out / "one_instances.tif"), found)


def test_the_command_warns_of_pixels_far_from_the_models(server, tmp_path):
    Image.fromarray(noise(9, 9)[..., 0]).save(tmp_path / "8-bit.png")
    cv2.imwrite(str(tmp_path / "16-bit.png"), noise(9, 9, 1, np.uint16))
    files = (tmp_path / "8-bit.png", tmp_path / "16-bit.png")
    done = command(server.rest, *files, "--model", "cells", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "far from" in line]
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
        done = command(*arguments, "--out", tmp_path / "out")
        assert done.returncode == 1, done.stderr
        lines = done.stderr.strip().splitlines()
        assert lines[-1].startswith("keras-unet: ")
        assert sentence in lines[-1]
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_the_server_refuses_does_not_keep_the_others_from_being_segmented(server, tmp_path):
    (tmp_path / "images").mkdir()
    for name, channels in (("a", 1), ("b", 3), ("d", 1)):
        Image.fromarray(noise(9, 9, channels).squeeze()).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "c.png").write_text("no image")
    done = command(server.rest, tmp_path / "images", "--model", "cells", "--out", tmp_path / "out")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    told = [line for line in lines if line.startswith("keras-unet: ") and "are far from" not in line]
    assert {name for name in "abcd" if any(f"{name}.png" in line for line in told[:2])} == {"b", "c"}
    assert told[2] == "keras-unet: Expected to segment 4 files. Received 2 that could not be, told above."
    assert {path.stem[0] for path in (tmp_path / "out").iterdir()} == {"a", "d"}
