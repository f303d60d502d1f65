"""Images segmented from file to file against `predict` in memory, and what is refused."""

import os
import sys

import numpy as np
import pytest
import tifffile
from helpers.nets import noise
from helpers.streaming import net, written
from PIL import Image

import keras_unet as ku
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image
from keras_unet.inference.streaming.streamed_prediction import predict_file
from keras_unet.inference.tile_sizes import tile_context

NETS = [
    {"depth": 1, "num_classes": 2},
    {"depth": 2, "num_classes": 1, "padding": "same"},
    {"depth": 1, "num_classes": 3, "upsampling": "bilinear"},
]


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize(
    ("number", "batch_size"),
    [(0, 1), (1, 3), (2, 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(0, 3), (1, 1), (2, 1)])],
)
def test_probabilities_equal_those_in_memory_bit_for_bit(tmp_path, small, number, batch_size, suffix):
    random = np.random.default_rng(number + 10 * batch_size)
    net_here = net(number, input_shape=(None, None, number + 1), **NETS[number])
    tile = tile_context(net_here.geometry) + net_here.geometry.stride * int(random.integers(5, 30))
    image = noise(*random.integers(40, 200, 2), number + 1, dtype=("uint8", "uint16", "float32")[number])
    options = [{"rowsperstrip": 5}, {"tile": (16, 32)}, {"tile": (16, 16), "planarconfig": "separate"}][number]
    pixels = np.moveaxis(image, -1, 0) if number == 2 else image
    options = {"planarconfig": "contig" if number else None, "compression": "zlib", **options}
    tifffile.imwrite(tmp_path / "a.tif", np.squeeze(pixels), photometric="minisblack", **options)
    target = predict_file(
        net_here, tmp_path / "a.tif", tmp_path / f"p{suffix}", tile=tile, batch_size=batch_size, output="probabilities"
    )
    expected = ku.predict(net_here, image, tile=tile, batch_size=batch_size)
    result = written(target)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result.reshape(expected.shape), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", f"p{suffix}"]


def shaded(height, width, dtype="uint8"):
    """Noise that grows to the lower right, so that no part has the statistics of the whole."""
    ramp = np.linspace(0.1, 1.0, height)[:, None] * np.linspace(0.2, 1.0, width)
    return (noise(height, width, dtype=dtype) * ramp).astype(dtype)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_pixels_are_normalised_by_the_whole_image_bit_for_bit(tmp_path, small, batch_size):
    image, model = shaded(300, 280, "uint16"), net(pixel_normalization="image")
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(16, 16), compression="zlib")
    options = {"tile": 76, "batch_size": batch_size}
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "p.tif", output="probabilities", **options)
    np.testing.assert_array_equal(written(target), ku.predict(model, image, **options))


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (70, 1), (33, 64)])
def test_classes_of_lines_and_single_pixels_are_the_most_probable(tmp_path, small, model, shape):
    image = noise(*shape)
    tifffile.imwrite(tmp_path / "a.tif", image)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")
    np.testing.assert_array_equal(written(target), ku.predict(model, image).argmax(-1))
    assert written(target).dtype == np.uint8


@pytest.mark.parametrize("compress", [True, False])
def test_result_is_a_tiled_bigtiff_that_read_image_takes(tmp_path, model, compress):
    Image.fromarray(noise(300, 520)).save(tmp_path / "a.png")
    target = predict_file(
        model, tmp_path / "a.png", tmp_path / "new" / "c.tif", compress=compress, output="probabilities"
    )
    with tifffile.TiffFile(target) as tif:
        assert tif.is_bigtiff
        assert (tif.pages[0].tilelength, tif.pages[0].tilewidth) == (256, 256)
        assert tif.pages[0].compression == (8 if compress else 1)
    np.testing.assert_array_equal(read_image(target), ku.predict(model, noise(300, 520)))


def test_averaging_over_symmetries_is_that_of_predict(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(50, 60))
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "p.tif", averaging="flips", output="probabilities")
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(50, 60), averaging="flips"))


def test_existing_target_is_refused_unless_overwritten(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    (tmp_path / "c.tif").write_text("precious")
    with pytest.raises(FileExistsError, match=r"c\.tif', which exists"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")
    assert (tmp_path / "c.tif").read_text() == "precious"
    predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", overwrite=True)
    assert written(tmp_path / "c.tif").shape == (20, 20)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [(noise(20, 30, 3), r"expected 1 channels. Received 3"), (noise(4, 20, 30), r"Received a stack of 4")],
)
def test_image_that_does_not_fit_the_net_is_refused(tmp_path, model, image, sentence):
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb" if image.shape[-1] == 3 else "minisblack")
    with pytest.raises(ImageError, match=sentence):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"target": "c.png"}, ValueError, r"ends in \.tif, \.tiff, \.zarr\. Received 'c\.png'"),
        ({"source": "none.tif"}, FileNotFoundError, r"none\.tif: expected an image file or a Zarr store"),
        ({"source": "."}, ImageError, "Received a folder that is neither"),
        ({"output": "logits"}, ValueError, r"Expected an output among classes, probabilities\. Received 'logits'"),
        ({"tile": 45}, ValueError, r"Nearest legal: 44 or 46"),
        ({"target": "a.tif", "overwrite": True}, ValueError, "another file for the result than the image"),
        ({"level": 1}, ImageError, r"a level between 0 and 0\. Received level 1"),
    ],
)
def test_wrong_argument_is_told_in_a_sentence(tmp_path, model, changes, error, sentence):
    if changes.get("source") == ".":
        pytest.importorskip("zarr")
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    arguments = {"source": "a.tif", "target": "c.tif", **changes}
    source, target = (tmp_path / arguments.pop(name) for name in ("source", "target"))
    with pytest.raises(error, match=sentence):
        predict_file(model, source, target, **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_missing_package_is_named(tmp_path, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    with pytest.raises(ValueError, match=r'Received none: pip install "keras-unet\[large\]"'):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_folder_that_cannot_be_written_is_named(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):
        pytest.skip("no folder is closed to this user")
    with pytest.raises(PermissionError, match="locked"):
        predict_file(model, tmp_path / "a.tif", locked / "c.tif")


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(9, 9))
    (tmp_path / "c.tif").mkdir()
    (tmp_path / "c.tif" / "precious").touch()
    with pytest.raises(FileExistsError, match="another folder"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", overwrite=True)
    assert (tmp_path / "c.tif" / "precious").exists()
