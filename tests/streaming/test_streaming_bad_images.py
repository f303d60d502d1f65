"""Images that are torn, change while they are read or hold no pixels for the net leave no result."""

import os

import numpy as np
import pytest
import tifffile
from helpers.nets import noise
from helpers.streaming import net, written
from PIL import Image

import keras_unet as ku
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image
from keras_unet.inference.streaming import targets
from keras_unet.inference.streaming.streamed_prediction import predict_file


def test_torn_source_is_named_and_leaves_no_result(tmp_path, small, model):
    for name, options in (("plain", {}), ("packed", {"compression": "zlib", "tile": (32, 32)})):
        tifffile.imwrite(tmp_path / "whole.tif", noise(200, 200), **options)
        whole = (tmp_path / "whole.tif").read_bytes()
        (tmp_path / f"{name}.tif").write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(ImageError, match=rf"{name}\.tif: expected .* Received"):
            predict_file(model, tmp_path / f"{name}.tif", tmp_path / "c.tif")
        assert not (tmp_path / "c.tif").exists()


def test_damaged_tile_is_named_with_its_file(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(64, 64), compression="zlib", tile=(32, 32))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        offset = tif.pages[0].dataoffsets[3]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(offset)
        file.write(b"\0" * 40)
    with pytest.raises(ImageError, match=r"a\.tif: expected a complete TIFF"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "rowsperstrip": 8}])
def test_tiff_cut_short_while_it_is_read_is_named(tmp_path, small, model, monkeypatch, options):
    tifffile.imwrite(tmp_path / "a.tif", noise(200, 90), **options)
    write = targets._TiffTarget.write

    def cutting(self, *arguments):
        write(self, *arguments)
        os.truncate(tmp_path / "a.tif", 1000)

    monkeypatch.setattr(targets._TiffTarget, "write", cutting)
    with pytest.raises(ImageError, match=r"a\.tif: expected a complete TIFF"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    assert not (tmp_path / "c.tif").exists()


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize("place", [(0, 0), (150, 80)])
def test_alpha_that_differs_is_refused_as_in_memory(tmp_path, small, suffix, place):
    image = np.dstack([noise(200, 90, 3), np.full((200, 90), 77, np.uint8)])
    source, rgb = tmp_path / f"a{suffix}", net(input_shape=(None, None, 3))
    Image.fromarray(image).save(source)
    predict_file(rgb, source, tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(tmp_path / "c.tif"), ku.predict(rgb, read_image(source), tile=44).argmax(-1))
    image[(*place, 3)] = 78
    Image.fromarray(image).save(source)
    with pytest.raises(ValueError, match="channels"):
        ku.predict(rgb, read_image(source), tile=44)
    with pytest.raises(ImageError, match=rf"a{suffix}: expected 3 channels.* Received 4"):
        predict_file(rgb, source, tmp_path / "d.tif", tile=44)
    assert not (tmp_path / "d.tif").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_pixel_that_is_not_finite_is_told_with_its_rows(tmp_path, small, model, value):
    image = noise(200, 60).astype(float)
    image[150, 7] = value
    tifffile.imwrite(tmp_path / "a.tif", image)
    with pytest.raises(ImageError, match=r"a\.tif: expected finite .* in the rows \d+ to 1[5-9]\d"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    assert not (tmp_path / "c.tif").exists()


def test_an_image_that_changes_while_it_is_read_gives_no_result(tmp_path, small, model, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", noise(200, 90))
    write = targets._TiffTarget.write

    def changing(self, *arguments):
        write(self, *arguments)
        tifffile.imwrite(tmp_path / "a.tif", noise(200, 90, seed=1))

    monkeypatch.setattr(targets._TiffTarget, "write", changing)
    with pytest.raises(ImageError, match=r"a\.tif: expected an image that stays as it is\."):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    assert not (tmp_path / "c.tif").exists()
