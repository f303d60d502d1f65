"""`keras-unet weight-map`: the map, its picture, and masks that have to be told apart."""

from pathlib import Path

import numpy as np
import tifffile
from helpers.command_line import mistake, run
from PIL import Image

import keras_unet as ku
from keras_unet import image_io


def test_weight_map_writes_the_map_and_its_picture(tmp_path: Path) -> None:
    labels = np.zeros((40, 50), np.uint16)
    labels[5:20, 5:20], labels[5:20, 23:40] = 1, 2
    tifffile.imwrite(tmp_path / "cells.tif", labels)
    done = run("weight-map", tmp_path / "cells.tif", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(tifffile.imread(tmp_path / "cells_weights.tif"), ku.weight_map(labels), rtol=1e-6)
    assert image_io.read_image(tmp_path / "cells_weights.png").shape[2] == 3


def test_weight_map_asks_how_to_read_a_mask(tmp_path: Path) -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[5:20, 5:20] = mask[5:20, 25:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert "use --components" in mistake("weight-map", tmp_path / "mask.png", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert run("weight-map", tmp_path / "mask.png", "--out", tmp_path / "out", "--components").returncode == 0


def test_weight_map_of_huge_ids_takes_no_more_than_the_image(tmp_path: Path) -> None:
    labels = np.zeros((30, 30), np.uint32)
    labels[5:12, 5:12], labels[15:22, 5:12] = 2_147_483_647, 2_147_483_000
    tifffile.imwrite(tmp_path / "cells.tif", labels)
    assert run("weight-map", tmp_path / "cells.tif", "--out", tmp_path).returncode == 0
    np.testing.assert_allclose(tifffile.imread(tmp_path / "cells_weights.tif"), ku.weight_map(labels), rtol=1e-6)
