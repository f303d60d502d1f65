"""Image files of every kind: channels, types and values as they were written, and as publishers describe theirs."""

import numpy as np
import pytest
import tifffile
from helpers.image_files import COLOUR, GREY, noise
from PIL import Image

from keras_unet.image_io.image_files import list_images, read_image, read_labels


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "pgm"])
def test_grey_image_has_one_channel_and_its_own_values(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).save(path)
    image = read_image(path)
    assert image.shape == (3, 4, 1)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 0], GREY)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_colour_image_has_channels_last(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path)
    np.testing.assert_array_equal(read_image(path), COLOUR)


def test_jpeg_is_read_to_within_its_loss(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg")[..., 0].astype(int) - smooth).max() <= 4


def test_content_decides_and_not_the_suffix(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.tif", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"])
def test_tiff_keeps_dtype_and_values(tmp_path, dtype):
    pixels = noise(5, 6).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == dtype
    np.testing.assert_array_equal(image[..., 0], pixels)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_compressed_tiff_is_read(tmp_path, compression, tile):
    pixels = noise(40, 33, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, tile=tile)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], pixels)


def test_big_tiff_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, bigtiff=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


def test_sixteen_bit_png_keeps_its_range(tmp_path):
    grey = GREY.astype(np.uint16) * 5000
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png")[..., 0], grey)


def test_sixteen_bit_colour_png_is_not_cut_to_eight_bits(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    colour = COLOUR.astype(np.uint16) * 1000 + 7
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(colour))
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, colour)


def test_one_bit_image_becomes_zero_and_one(tmp_path):
    Image.fromarray(GREY > 5).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", GREY > 5)
    for name in ("a.png", "a.tif"):
        labels = read_labels(tmp_path / name)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, GREY > 5)


def palette_png(path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putdata([0, 1, 2, 1])
    image.putpalette([0, 0, 0, 255, 10, 0, 0, 20, 255])
    image.save(path)
    return path


def test_palette_png_gives_colours_as_image_and_indices_as_labels(tmp_path):
    path = palette_png(tmp_path / "a.png")
    assert read_image(path).tolist() == [[[0, 0, 0], [255, 10, 0]], [[0, 20, 255], [255, 10, 0]]]
    assert read_labels(path).tolist() == [[0, 1], [2, 1]]


def test_palette_tiff_gives_colours_as_image_and_indices_as_labels(tmp_path):
    table = np.zeros((3, 256), np.uint16)
    table[:, 1] = 65535, 2560, 0
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1]], np.uint8), photometric="palette", colormap=table)
    assert read_image(tmp_path / "a.tif").tolist() == [[[0, 0, 0], [255, 10, 0]]]
    assert read_labels(tmp_path / "a.tif").tolist() == [[0, 1]]


def test_grey_palette_gives_one_channel(tmp_path):
    table = np.tile((255 - np.arange(256, dtype=np.uint16)) * 257, (3, 1))
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], 255 - GREY)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_constant_alpha_is_dropped_and_a_varying_one_kept(tmp_path, suffix):
    alpha = np.full((3, 4, 1), 255, np.uint8)
    constant, varying = tmp_path / f"constant.{suffix}", tmp_path / f"varying.{suffix}"
    Image.fromarray(np.concatenate([COLOUR, alpha], -1)).save(constant)
    Image.fromarray(np.concatenate([COLOUR, GREY[..., None]], -1)).save(varying)
    np.testing.assert_array_equal(read_image(constant), COLOUR)
    assert read_image(varying).shape == (3, 4, 4)


def test_planar_tiff_comes_with_channels_last(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLOUR)


def test_imagej_composite_is_one_image_of_several_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(COLOUR, -1, 0), imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLOUR)


def test_grey_labels_in_three_channels_are_one_label_image(tmp_path):
    Image.fromarray(np.stack([GREY] * 3, -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), GREY)


def test_images_are_listed_in_natural_order_without_hidden_and_other_files(tmp_path):
    for name in ("t10.png", "t2.png", ".t3.png", "notes.txt", "T1.TIF"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_images(tmp_path)] == ["T1.TIF", "t2.png", "t10.png"]
    with pytest.raises(FileNotFoundError, match="none: expected a folder of images"):
        list_images(tmp_path / "none")


@pytest.mark.parametrize(
    ("file", "shape", "dtype", "low", "high"),
    [
        ("formats/multichannel/49768_112_reduced.tif", (842, 846, 3), "uint8", 3, 255),
        ("formats/multichannel/test_image.ome.tif", (513, 639, 3), "uint8", 0, 255),
        ("formats/packbits/AS_09125_050116030001_D03f00d0.tif", (512, 512, 1), "uint8", 7, 255),
        ("formats/uint16/A2_03_2_1_DAPI_001.tif", (904, 1224, 1), "uint16", None, 65504),
        ("formats/large/cmu-1-small-region.svs", (2967, 2220, 3), "uint8", 0, 255),
        ("drosophila_vnc/stack1/raw/00.tif", (1024, 1024, 1), "uint8", None, None),
        ("DRIVE/training/images/21_training.tif", (584, 565, 3), "uint8", 0, 255),
        ("Fluo-N2DL-HeLa/01", (700, 1100, 1), "uint16", None, None),
        ("STARE/stare-images/im0001.ppm", (605, 700, 3), "uint8", None, None),
        ("axondeepseg_sem/sub-rat6/micr/sub-rat6_sample-data15_SEM.png", (744, 1154, 1), "uint8", 2, 252),
    ],
)
def test_real_files_are_read_as_their_publishers_describe_them(real_data, file, shape, dtype, low, high):
    path = real_data / file
    image = read_image(list_images(path)[0] if path.is_dir() else path)
    assert image.shape == shape
    assert image.dtype == dtype
    assert low is None or image.min() == low
    assert high is None or image.max() == high


def test_real_masks_as_gif_one_bit_png_and_grey_alpha_are_read(real_data):
    assert set(np.unique(read_labels(real_data / "DRIVE/training/1st_manual/21_manual1.gif"))) == {0, 255}
    assert set(np.unique(read_labels(real_data / "CHASEDB1/Image_01L_1stHO.png"))) == {0, 1}
    folder = real_data / "axondeepseg_sem/derivatives/labels/sub-rat6/micr"
    assert set(np.unique(read_labels(folder / "sub-rat6_sample-data15_SEM_seg-axonmyelin-manual.png"))) == {0, 127, 255}
