"""Images segmented from file to file against `predict` in memory, and every way that can be interrupted."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

import keras_unet as ku
from keras_unet import streaming, targets
from keras_unet.cli import app
from keras_unet.image_io import ImageError, read_image
from keras_unet.journal import Journal
from keras_unet.streaming import predict_file
from keras_unet.tile_sizes import tile_context
from keras_unet.windows import open_windows

NETS = [
    {"depth": 1, "num_classes": 2},
    {"depth": 2, "num_classes": 1, "padding": "same"},
    {"depth": 1, "num_classes": 3, "upsampling": "bilinear"},
]


def net(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    return ku.UNet(**{"input_shape": (None, None, 1), "num_classes": 2, "filters": 2, "depth": 1, **changes})


def noise(*shape, dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


def written(path):
    """The pixels of a result, read by tifffile or zarr."""
    if path.suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        return zarr.open_array(str(path), mode="r")[:]
    return tifffile.imread(path)


@pytest.fixture(scope="module")
def model():
    return net()


@pytest.fixture
def small(monkeypatch):
    """Panels and tiles so small that a small image has several of each."""
    monkeypatch.setattr(targets, "TILE", 32)
    monkeypatch.setattr(streaming, "TILE", 32)
    monkeypatch.setattr(streaming, "_PANEL_BYTES", 32 * 1024)


LAYOUTS = {
    "one piece": {},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "one strip": {"rowsperstrip": 1000, "compression": "lzw"},
    "tiles": {"tile": (16, 48)},
    "big, big-endian": {"tile": (32, 16), "compression": "zstd", "bigtiff": True, "byteorder": ">"},
    "predictor": {"tile": (32, 32), "compression": "deflate", "predictor": True},
    "planar": {"tile": (16, 16), "planarconfig": "separate", "compression": "packbits"},
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_window_holds_the_pixels_that_were_written(tmp_path, layout, channels, dtype):
    image, random = noise(83, 101, channels, dtype=dtype), np.random.default_rng(channels)
    options = {"planarconfig": "contig", **LAYOUTS[layout]}
    pixels = np.moveaxis(image, -1, 0) if options["planarconfig"] == "separate" else image
    if channels == 1:
        pixels, options["planarconfig"] = image[..., 0], None
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", **options)
    with open_windows(tmp_path / "a.tif") as windows:
        assert windows.shape == image.shape
        assert windows.dtype == dtype
        for _ in range(5):
            (top, bottom), (left, right) = (np.sort(random.choice(size, 2, replace=False)) for size in (84, 102))
            window = windows.read(slice(int(top), int(bottom)), slice(int(left), int(right)))
            np.testing.assert_array_equal(window, image[top:bottom, left:right])


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True, "tile": (16, 16), "compression": "zlib"}])
def test_pages_that_are_channels_are_joined(tmp_path, options):
    image = noise(40, 50, 3, dtype="uint16")
    planes = np.moveaxis(image, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, metadata={"axes": "CYX"}, photometric="minisblack", **options)
    with open_windows(tmp_path / "a.tif") as windows:
        np.testing.assert_array_equal(windows.read(slice(3, 30), slice(0, 50)), image[3:30])


def test_level_of_a_pyramid_is_read(tmp_path):
    image = noise(64, 96)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        tif.write(image, subifds=1, tile=(16, 16), compression="zlib")
        tif.write(image[::2, ::2], subfiletype=1, tile=(16, 16), compression="zlib")
    with open_windows(tmp_path / "a.ome.tif", level=1) as windows:
        assert windows.shape == (32, 48, 1)
        np.testing.assert_array_equal(windows.read(slice(5, 20), slice(7, 48))[..., 0], image[::2, ::2][5:20, 7:])
    with pytest.raises(ImageError, match=r"a.ome.tif: expected a level between 0 and 1. Received level 2"):
        open_windows(tmp_path / "a.ome.tif", level=2).__enter__()


def test_slide_is_read_at_every_level(tmp_path):
    image = noise(96, 128, 3)
    description = "Aperio Image Library v1\r\n128x96 (16x16) JPEG/RGB Q=95|AppMag = 40"
    options = {"compression": "jpeg", "description": description, "metadata": None, "photometric": "rgb"}
    with tifffile.TiffWriter(tmp_path / "a.svs") as tif:
        for step, tile in ((1, (16, 16)), (8, None), (2, (16, 16))):  # a slide's second page is its thumbnail
            tif.write(image[::step, ::step], tile=tile, **options)
    for level, (height, width) in enumerate([(96, 128), (48, 64)]):
        expected = tifffile.imread(tmp_path / "a.svs", level=level)
        assert expected.shape == (height, width, 3)
        with open_windows(tmp_path / "a.svs", level) as windows:
            np.testing.assert_array_equal(windows.read(slice(9, height), slice(3, 60)), expected[9:, 3:60])


@pytest.mark.parametrize("case", ["bits", "palette", "alpha", "png"])
def test_image_of_another_kind_is_read_as_in_memory(tmp_path, case):
    path = tmp_path / "a.tif"
    if case == "bits":
        tifffile.imwrite(path, noise(20, 30) > 100, photometric="minisblack")
    elif case == "palette":
        Image.fromarray(noise(20, 30, 3)).quantize(16).save(path)
    elif case == "alpha":
        tifffile.imwrite(path, np.dstack([noise(20, 30, 3), np.full((20, 30), 255, np.uint8)]), photometric="rgb")
    else:
        path = tmp_path / "a.png"
        Image.fromarray(noise(20, 30, 3)).save(path)
    image = read_image(path)
    with open_windows(path) as windows:
        whole = windows.for_channels(image.shape[-1]).read(slice(0, 20), slice(0, 30))
    assert whole.dtype == image.dtype
    np.testing.assert_array_equal(whole, image)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_array_is_read(tmp_path, zarr_format):
    zarr = pytest.importorskip("zarr")
    image = noise(50, 60, 3, dtype="uint16")
    store = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=image.shape, chunks=(16, 16, 3), dtype="u2", zarr_format=zarr_format
    )
    store[:] = image
    with open_windows(tmp_path / "a.zarr") as windows:
        np.testing.assert_array_equal(windows.read(slice(10, 50), slice(1, 33)), image[10:, 1:33])


@pytest.mark.parametrize(("names", "turned"), [([None, None], False), (["y", "x"], False), (["x", "y"], True)])
def test_axes_of_a_zarr_array_go_by_their_names_if_they_have_any(tmp_path, names, turned):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "a.zarr"), data=noise(50, 60), dimension_names=names)
    image = noise(50, 60).T if turned else noise(50, 60)
    with open_windows(tmp_path / "a.zarr") as windows:
        assert windows.shape == (*image.shape, 1)
        np.testing.assert_array_equal(windows.read(slice(3, 9), slice(4, 50))[..., 0], image[3:9, 4:50])


def test_level_of_an_ome_zarr_group_is_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    image, group = noise(1, 3, 50, 60, dtype="uint16"), zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    for number in range(2):
        step = number + 1
        level = group.create_array(
            f"s{number}", shape=image[..., ::step, ::step].shape, dtype="u2", chunks=(1, 1, 16, 16)
        )
        level[:] = image[..., ::step, ::step]
    axes = [{"name": name} for name in "tcyx"]
    group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": [{"path": "s0"}, {"path": "s1"}]}]}
    with open_windows(tmp_path / "a.zarr", level=1) as windows:
        assert windows.shape == (25, 30, 3)
        expected = np.moveaxis(image[0, :, ::2, ::2], 0, -1)
        np.testing.assert_array_equal(windows.read(slice(2, 25), slice(0, 7)), expected[2:, :7])


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("number", range(len(NETS)))
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


SCRIPT = """
import sys
import keras_unet as ku
from keras_unet import streaming, targets
from keras_unet.cli import app
targets.TILE = streaming.TILE = 32
streaming._PANEL_BYTES = 32 * 1024
streaming.predict_file(ku.load_model(sys.argv[1]), sys.argv[2], sys.argv[3], tile=44, output="probabilities")
"""


@pytest.mark.parametrize(("suffix", "kills"), [(".tif", 2), (".zarr", 1)])
def test_killed_at_any_moment_and_resumed_gives_the_same_bits(tmp_path, small, model, suffix, kills):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    model.save(tmp_path / "net.keras")
    image = noise(700, 300, seed=1)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(32, 32), compression="zlib")
    target, journal = tmp_path / f"p{suffix}", tmp_path / f"p{suffix}.journal"
    random, finished = np.random.default_rng(), [0]
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "net.keras", tmp_path / "a.tif", target])
        goal = finished[-1] + int(random.integers(1, 8))
        while process.poll() is None and rows_in(journal) < goal:
            time.sleep(0.002)
        time.sleep(random.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not target.exists()
        finished.append(rows_in(journal))
    assert (np.diff(finished) > 0).all()
    predict_file(model, tmp_path / "a.tif", target, output="probabilities")
    np.testing.assert_array_equal(written(target), ku.predict(model, image, tile=44))
    fresh = predict_file(model, tmp_path / "a.tif", tmp_path / f"fresh{suffix}", tile=44, output="probabilities")
    assert not journal.exists()
    if suffix == ".tif":
        assert target.read_bytes() == fresh.read_bytes()
    else:
        files = [sorted(path.relative_to(store) for path in store.rglob("*")) for store in (target, fresh)]
        assert files[0] == files[1]


def rows_in(journal):
    try:
        lines = journal.read_text().splitlines()
    except FileNotFoundError:
        return 0
    return max(len(lines) - 2, 0)


def interrupted(model, folder, monkeypatch, after=3, source="a.tif", **options):
    """A call that fails after some rows, as a full disk would have it."""
    if not (folder / source).exists():
        tifffile.imwrite(folder / "a.tif", noise(200, 90))
    write, count = targets._TiffTarget.write, iter(range(after))

    def failing(self, *arguments):
        if next(count, None) is None:
            raise OSError(28, "No space left on device")
        write(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(targets._TiffTarget, "write", failing)
        with pytest.raises(OSError, match=r"No space left on device: '.*c\.tif\.partial'"):
            predict_file(model, folder / source, folder / "c.tif", **options)


def test_failed_call_is_gone_on_with_by_the_tile_it_began_with(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    begun = (tmp_path / "c.tif.partial").stat().st_ino
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", output="classes")
    assert target.stat().st_ino == begun
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_torn_last_line_and_lost_tail_of_the_partial_file_do_no_harm(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    with (tmp_path / "c.tif.journal").open("a") as journal:
        journal.write("99")
    with (tmp_path / "c.tif.partial").open("ab") as partial:
        partial.write(b"half a tile")
    interrupted(model, tmp_path, monkeypatch, after=1, tile=44)
    assert rows_in(tmp_path / "c.tif.journal") == 4
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_partial_file_that_lost_its_end_is_begun_anew(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    partial = tmp_path / "c.tif.partial"
    os.truncate(partial, partial.stat().st_size - 10)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_partial_result_is_thrown_away_if_not_to_be_resumed(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=52, resume=False)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=52).argmax(-1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "c.tif"]


@pytest.mark.parametrize("change", ["model", "image", "tile", "output", "averaging"])
def test_partial_result_of_other_settings_is_refused_unless_overwritten(tmp_path, small, model, monkeypatch, change):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    os.utime(tmp_path / "a.tif", ns=(0, json.loads((tmp_path / "c.tif.journal").open().readline())["image"][1]))
    options = {"tile": {"tile": 48}, "output": {"output": "probabilities"}, "averaging": {"averaging": "flips"}}
    if change == "image":
        tifffile.imwrite(tmp_path / "a.tif", noise(200, 90, seed=5))
    other = net(1) if change == "model" else model
    arguments = {"tile": 44, **options.get(change, {})}
    with pytest.raises(ValueError, match=rf"or overwrite\. Received another {change}\."):
        predict_file(other, tmp_path / "a.tif", tmp_path / "c.tif", **arguments)
    target = predict_file(other, tmp_path / "a.tif", tmp_path / "c.tif", overwrite=True, **arguments)
    fresh = predict_file(other, tmp_path / "a.tif", tmp_path / "fresh.tif", **arguments)
    assert target.read_bytes() == fresh.read_bytes()


@pytest.mark.parametrize("source", ["a.tif", "a.zarr"])
def test_image_replaced_by_one_of_the_same_size_and_time_is_another(tmp_path, small, model, monkeypatch, source):
    def write(seed):
        if source == "a.tif":
            tifffile.imwrite(tmp_path / source, noise(200, 90, seed=seed))
        else:
            zarr = pytest.importorskip("zarr")
            options = {"chunks": (32, 32), "compressors": None, "overwrite": True}
            zarr.create_array(str(tmp_path / source), data=noise(200, 90, seed=seed), **options)
        for file in (tmp_path / source, *(tmp_path / source).rglob("*")):
            os.utime(file, ns=(0, 10**18))

    write(0)
    interrupted(model, tmp_path, monkeypatch, source=source, tile=44)
    write(1)
    with pytest.raises(ValueError, match=r"or overwrite\. Received another image\."):
        predict_file(model, tmp_path / source, tmp_path / "c.tif", tile=44)
    write(0)
    predict_file(model, tmp_path / source, tmp_path / "c.tif", tile=44)


@pytest.mark.parametrize("place", [0, 2**24 - 1, 2**24, 2**25 - 1])
def test_samples_of_a_large_file_hold_its_ends_and_places_between(tmp_path, place):
    path = tmp_path / "a"
    path.write_bytes(bytes(2**25))
    size = [2**25]
    before, shorter = (streaming._samples(path, [path], size) for size in (size, [2**20]))
    assert before != shorter
    with path.open("r+b") as file:
        file.seek(max(place - 2**16, 0))
        file.write(b"x" * 2**17)
        file.truncate(2**25)
    assert streaming._samples(path, [path], size) != before


def test_samples_of_nothing_and_of_many_small_files_are_of_all_bytes(tmp_path):
    assert streaming._samples(tmp_path, [], []) == streaming._samples(tmp_path, [tmp_path], [0])
    files = [tmp_path / f"{number:03}" for number in range(200)]
    for file in files:
        file.write_bytes(b"0" * (int(file.name) % 3))
    sizes = [int(file.name) % 3 for file in files]
    before = streaming._samples(tmp_path, files, sizes)
    for number in (1, 101, 199):
        files[number].write_bytes(b"1" * sizes[number])
        assert streaming._samples(tmp_path, files, sizes) != before
        files[number].write_bytes(b"0" * sizes[number])
    assert streaming._samples(tmp_path, files, sizes) == before


def test_existing_target_is_refused_unless_overwritten(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    (tmp_path / "c.tif").write_text("precious")
    with pytest.raises(FileExistsError, match=r"c\.tif', which exists"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")
    assert (tmp_path / "c.tif").read_text() == "precious"
    predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", overwrite=True)
    assert written(tmp_path / "c.tif").shape == (20, 20)


def test_two_processes_do_not_write_one_target(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    with Journal(tmp_path / "c.tif.journal"), pytest.raises(BlockingIOError, match="one process at a time"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")


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


def damaged(path, tag, value, **options):
    """A TIFF of 60 x 60 pixels, one of whose tags says something else."""
    tifffile.imwrite(path, noise(60, 60), photometric="minisblack", **options)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags[tag].overwrite(value)


@contextlib.contextmanager
def told_by_name(path):
    """Passes only if nothing is raised but an `ImageError` that begins with the file."""
    with contextlib.suppress(ImageError):
        try:
            yield
        except ImageError as error:
            if not str(error).startswith(f"{path}: expected "):
                raise RuntimeError(str(error)) from error
            raise


DAMAGES = {
    "no rows in a strip": ("RowsPerStrip", 0),
    "strips without place": ("StripOffsets", [208]),
    "strips beyond the file": ("StripOffsets", [10**9, 10**9]),
    "strips without size": ("StripByteCounts", [100]),
    "no such compression": ("Compression", 4711),
    "no width": ("ImageWidth", 0),
    "many samples": ("SamplesPerPixel", 60000),
    "a torn description": ("ImageDescription", '{"shape": p60, 60]}'),
}


@pytest.mark.parametrize("options", [{"rowsperstrip": 30, "compression": "zlib"}, {"rowsperstrip": 30}])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tiff_is_told_with_its_name_or_read_whole(tmp_path, damage, options):
    damaged(tmp_path / "a.tif", *DAMAGES[damage], **options)
    with told_by_name(tmp_path / "a.tif"), open_windows(tmp_path / "a.tif") as windows:
        windows.read(*(slice(0, size) for size in windows.shape[:2]))


@pytest.mark.parametrize("seed", range(4))
def test_tiff_with_bytes_changed_at_random_raises_nothing_but_image_errors(tmp_path, seed):
    random, path = np.random.default_rng(seed), tmp_path / "a.tif"
    options = [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"compression": "lzw", "bigtiff": True}][seed]
    tifffile.imwrite(path, noise(37, 53, 3), photometric="rgb", **options)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        changed = whole.copy()
        changed[random.integers(0, 400, 3)] = random.integers(0, 256, 3)
        path.write_bytes(changed.tobytes())
        with contextlib.suppress(MemoryError), told_by_name(path), open_windows(path) as windows:
            windows.read(*(slice(0, min(size, 50)) for size in windows.shape[:2]))


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


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_full_disk_names_the_file_and_keeps_what_is_finished(tmp_path, small, model, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    image = noise(200, 90)
    tifffile.imwrite(tmp_path / "a.tif", image)
    target = tmp_path / f"p{suffix}"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if suffix == ".tif" else 2_000, limit[1]))
    try:
        with pytest.raises(OSError, match=rf"p\{suffix}\.partial"):
            predict_file(model, tmp_path / "a.tif", target, tile=44, output="probabilities")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not target.exists()
    predict_file(model, tmp_path / "a.tif", target, output="probabilities")
    np.testing.assert_array_equal(written(target), ku.predict(model, image, tile=44))


def test_a_zarr_source_whose_chunks_change_between_the_calls_is_refused(tmp_path, small, model, monkeypatch):
    zarr = pytest.importorskip("zarr")
    store = zarr.create_array(str(tmp_path / "a.zarr"), data=noise(200, 90), chunks=(32, 32))
    interrupted(model, tmp_path, monkeypatch, source="a.zarr", tile=44)
    store[:32, :32] = 7
    with pytest.raises(ValueError, match=r"Received another image\."):
        predict_file(model, tmp_path / "a.zarr", tmp_path / "c.tif", tile=44)


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


@pytest.mark.parametrize("damage", [b"\0" * 40, b"x\ny\n", b'{"a": 1}\nfoo bar\n', b"[1]\n0 0\n"])
def test_a_damaged_journal_is_begun_anew(tmp_path, small, model, monkeypatch, damage):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    (tmp_path / "c.tif.journal").write_bytes(damage)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(9, 9))
    (tmp_path / "c.tif").mkdir()
    (tmp_path / "c.tif" / "precious").touch()
    with pytest.raises(FileExistsError, match="another folder"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", overwrite=True)
    assert (tmp_path / "c.tif" / "precious").exists()


def test_a_journal_that_its_holder_removed_is_not_held_by_two(tmp_path):
    path = tmp_path / "journal"
    first, second = Journal(path), Journal(path)
    with first:
        pass  # removes the file that `second` has opened
    with Journal(path) as holder:
        holder.start({}, 0)
        with pytest.raises(BlockingIOError):
            second.__enter__()


def command(*arguments):
    return CliRunner().invoke(app, ["predict", *(str(part) for part in arguments)])


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return ku.export.save(model, tmp_path_factory.mktemp("models") / "m", tile=76, input_dtype="uint8", verify=False)


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
    net = ku.UNet((None, None, 1), 2, filters=2, depth=2, upsampling="bilinear", value_range=(0, 255))
    folder = ku.export.save(net, tmp_path / "m", tile=88, input_dtype="uint8", verify=False)
    image = noise(300, 280)
    tifffile.imwrite(tmp_path / "a.tif", image)
    done = command(folder, tmp_path / "a.tif", "--out", tmp_path / "out", "--stream", "--output", "probabilities")
    assert done.exit_code == 0, done.output
    streamed = written(tmp_path / "out" / "a_probabilities.tif")
    np.testing.assert_allclose(streamed, ku.predict(net, image, tile=88), atol=1e-5)


def test_stores_and_files_of_one_name_are_refused(tmp_path, exported):
    tifffile.imwrite(tmp_path / "a.tif", noise(9, 9))
    (tmp_path / "x" / "a.zarr").mkdir(parents=True)
    done = command(exported, tmp_path / "a.tif", tmp_path / "x" / "a.zarr", "--stream", "--out", tmp_path / "out")
    assert done.exit_code != 0
    assert "'a' twice" in str(done.exception)


def test_command_streams_files_and_stores(tmp_path, model):
    zarr = pytest.importorskip("zarr")
    model.save(tmp_path / "net.keras")
    image = noise(90, 70)
    tifffile.imwrite(tmp_path / "a.tif", image)
    zarr.create_array(str(tmp_path / "b.zarr"), data=image)
    arguments = (tmp_path / "net.keras", tmp_path / "a.tif", tmp_path / "b.zarr", "--out", tmp_path / "out", "--stream")
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


@pytest.mark.parametrize(("dtype", "scale"), [("uint16", 200), ("float32", 1 / 250), ("uint8", 1)])
def test_command_warns_once_of_pixels_far_from_the_models(tmp_path, small, model, dtype, scale):
    model.save(tmp_path / "net.keras")
    tifffile.imwrite(tmp_path / "a.tif", (noise(200, 90) * np.float64(scale)).astype(dtype))
    done = command(tmp_path / "net.keras", tmp_path / "a.tif", "--stream", "--out", tmp_path / "out", "--tile", "44")
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
