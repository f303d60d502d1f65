"""Windows of images on disk are the pixels that were written, whatever the layout; damaged files are named."""

import contextlib

import numpy as np
import pytest
import tifffile
from helpers.nets import noise
from PIL import Image

from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image
from keras_unet.image_io.opening import open_windows

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
