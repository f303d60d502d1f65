"""`keras-unet predict --stream`."""

import re

import numpy as np
import pytest
import tifffile
from helpers.nets import exported as export_of
from helpers.nets import net as any_net
from helpers.nets import noise
from helpers.streaming import written
from typer.testing import CliRunner

import keras_unet as ku
from keras_unet.cli import app


def command(*arguments):
    return CliRunner().invoke(app, ["predict", *(str(part) for part in arguments)])


@pytest.mark.parametrize("output", ["classes", "probabilities"])
def test_exported_model_streams_what_it_segments_in_one_request(tmp_path, small, model, exported, output):
    image = noise(500, 280)
    tifffile.imwrite(tmp_path / "a.tif", image)
    done = command(exported, tmp_path / "a.tif", "--out", tmp_path / "out", "--stream", "--output", output)
    assert done.exit_code == 0, done.output
    expected = ku.predict(model, image, tile=76)
    if output == "classes":
        np.testing.assert_array_equal(written(tmp_path / "out" / "a_labels.tif"), expected.argmax(-1))
    else:
        np.testing.assert_allclose(written(tmp_path / "out" / "a_probabilities.tif"), expected, atol=1e-5)


def test_pieces_of_an_export_hold_all_that_bilinear_up_sampling_sees(tmp_path):
    net = any_net(channels=2, upsampling="bilinear", value_range=(0, 255))
    folder = export_of(net, tile=88, input_dtype="uint8")
    image = noise(300, 280, 2)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", planarconfig="contig")
    done = command(folder, tmp_path / "a.tif", "--out", tmp_path / "out", "--stream", "--output", "probabilities")
    assert done.exit_code == 0, done.output
    streamed = written(tmp_path / "out" / "a_probabilities.tif")
    np.testing.assert_allclose(streamed, ku.predict(net, image, tile=88), atol=1e-5)


def test_an_export_normalises_pieces_by_the_whole_image(tmp_path):
    net = any_net(depth=1, pixel_normalization="image")
    image = (noise(300, 280) * np.linspace(0.1, 1.0, 280)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    folder = export_of(net, tile=76, input_dtype="uint8")
    done = command(folder, tmp_path / "a.tif", "--out", tmp_path / "out", "--stream", "--output", "probabilities")
    assert done.exit_code == 0, done.output
    streamed = written(tmp_path / "out" / "a_probabilities.tif")
    np.testing.assert_allclose(streamed, ku.predict(net, image, tile=76), atol=1e-5)


def test_stores_and_files_of_one_name_are_refused(tmp_path, exported):
    tifffile.imwrite(tmp_path / "a.tif", noise(9, 9))
    (tmp_path / "x" / "a.zarr").mkdir(parents=True)
    done = command(exported, tmp_path / "a.tif", tmp_path / "x" / "a.zarr", "--stream", "--out", tmp_path / "out")
    assert done.exit_code != 0
    assert "'a' twice" in str(done.exception)


def test_command_streams_files_and_stores(tmp_path, model, net_file):
    zarr = pytest.importorskip("zarr")
    image = noise(90, 70)
    tifffile.imwrite(tmp_path / "a.tif", image)
    zarr.create_array(str(tmp_path / "b.zarr"), data=image)
    arguments = (net_file, tmp_path / "a.tif", tmp_path / "b.zarr", "--out", tmp_path / "out", "--stream")
    done = command(*arguments, "--format", "zarr", "--tile", "44")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_labels.zarr", "b_labels.zarr"]
    for name in ("a", "b"):
        labels = written(tmp_path / "out" / f"{name}_labels.zarr")
        np.testing.assert_array_equal(labels, ku.predict(model, image, tile=44).argmax(-1))


def test_command_leaves_out_what_is_finished_and_goes_on(tmp_path, exported):
    out = tmp_path / "out"
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, noise(20, 20))
    arguments = (exported, "--out", out, "--stream")
    assert command(*arguments, tmp_path / "a.tif").exit_code == 0
    finished = (out / "a_labels.tif").stat()
    done = command(*arguments, tmp_path / "a.tif", tmp_path / "b.tif")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(out / "b_labels.tif")]
    line = f"{out / 'a_labels.tif'}: exists, so {tmp_path / 'a.tif'} is left out; --overwrite replaces it."
    assert done.stderr.splitlines().count(line) == 1
    assert (out / "a_labels.tif").stat() == finished
    done = command(*arguments, tmp_path / "a.tif")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", line + "\n")
    assert command(*arguments, tmp_path / "a.tif", "--overwrite").stdout.split() == [str(out / "a_labels.tif")]
    assert (out / "a_labels.tif").stat() != finished


def test_another_folder_in_place_of_a_result_is_no_finished_one(tmp_path, exported):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    mine = tmp_path / "out" / "a_labels.tif" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    done = command(exported, tmp_path / "a.tif", "--out", tmp_path / "out", "--stream")
    assert isinstance(done.exception, FileExistsError)
    assert mine.exists()


@pytest.mark.parametrize(("dtype", "scale"), [("uint16", 200), ("float32", 1 / 255), ("uint8", 1)])
def test_command_warns_once_of_pixels_far_from_the_models(tmp_path, small, net_file, dtype, scale):
    tifffile.imwrite(tmp_path / "a.tif", (noise(200, 90) * np.float64(scale)).astype(dtype))
    done = command(net_file, tmp_path / "a.tif", "--stream", "--out", tmp_path / "out", "--tile", "44")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("far from the 0 to 255 of") == (dtype != "uint8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--stream", "--instances"), "Expected classes or probabilities with --stream. Received --instances."),
        (("--level", "1"), "Expected --stream with --level. Received --level alone."),
        (("--overwrite",), "Expected --stream with --overwrite."),
    ],
)
def test_options_that_exclude_each_other_are_wrong_use(tmp_path, arguments, sentence):
    done = command(tmp_path, tmp_path, *arguments)
    assert done.exit_code == 2
    assert sentence in " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())


def test_a_tile_is_refused_for_an_exported_model(tmp_path, exported):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    done = command(exported, tmp_path / "a.tif", "--stream", "--out", tmp_path / "out", "--tile", "76")
    expected = "Expected an exported model as it is: tile and averaging were fixed. Received --tile."
    assert str(done.exception) == expected
    assert not (tmp_path / "out").exists()
