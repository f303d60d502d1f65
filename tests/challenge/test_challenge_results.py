"""Results for the challenges: what their programs read back is what was found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.command_line import mistake, run, wrong_use
from numpy.typing import NDArray
from PIL import Image

import keras_unet as ku
from keras_unet import image_io
from keras_unet.challenge import mask_names, seg_measure, seg_of_sequence, write_em_stack, write_mask
from keras_unet.commands.challenge_results import mask_files, write_ctc, write_isbi
from keras_unet.commands.open_models import Segmenter
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.instances.region_merging import merged_map

Pixels = NDArray[Any]


def bright_is_cell(num_classes: int = 2) -> Segmenter:
    """A model whose probability of a cell is the grey value, 255 for 1."""

    def probabilities(image: Pixels) -> NDArray[np.float32]:
        cell = image[..., 0].astype(np.float32) / 255
        return cell[..., None] if num_classes == 1 else np.stack([1 - cell, *[cell] * (num_classes - 1)], axis=-1)

    return Segmenter(probabilities, (0, 255), num_classes)


def grey(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.keras"
    ku.UNet((None, None, 1), filters=2, depth=1).save(path)
    return path


def test_em_stack_is_32_bit_with_slices_in_order(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).random((30, 9, 7))
    path = write_em_stack(tmp_path / "new" / "result.tif", stack)
    with tifffile.TiffFile(path) as file:
        assert (len(file.pages), file.series[0].axes, file.pages[0].dtype) == (30, "ZYX", np.dtype(np.float32))
        assert (file.pages[0].compression, file.is_imagej) == (tifffile.COMPRESSION.NONE, True)
        np.testing.assert_array_equal(file.asarray(), stack.astype(np.float32))
    np.testing.assert_array_equal(image_io.read_stack(path)[..., 0], stack.astype(np.float32))


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 6, 5), (4, 6, 5), (2, 6, 3), (2, 6, 4)])
def test_em_stacks_of_few_slices_are_no_colours(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stack = np.random.default_rng(0).random(shape, np.float32)
    path = write_em_stack(tmp_path / "r.tif", stack)
    np.testing.assert_array_equal(image_io.read_stack(path)[..., 0], stack)
    np.testing.assert_array_equal(np.stack([page.asarray() for page in tifffile.TiffFile(path).pages]), stack)


@pytest.mark.parametrize("num_classes", [1, 2])
def test_membranes_are_0_as_in_the_labels_of_the_challenge(real_data: Path, tmp_path: Path, num_classes: int) -> None:
    labels = real_data / "isbi2012" / "train-labels.tif"
    truth = tifffile.imread(labels) > 0
    (path,) = write_isbi(bright_is_cell(num_classes), [labels], tmp_path)  # a perfect model
    written = tifffile.imread(path)
    assert path == tmp_path / "result-volume.tif"
    assert written.shape == (24, 512, 512)
    assert ku.challenge.pixel_error(truth, written) == ku.challenge.rand_error(truth[:2], written[:2]) == 0.0
    np.testing.assert_array_equal(written, truth)


def test_slices_go_by_number_and_page(tmp_path: Path) -> None:
    images = grey(5, 6, 8)
    folder, out = tmp_path / "slices", tmp_path / "out"
    folder.mkdir()
    Image.fromarray(images[0]).save(folder / "slice2.png")
    Image.fromarray(images[1]).save(folder / "slice10.png")
    tifffile.imwrite(tmp_path / "a-stack.tif", images[2:], photometric="minisblack")
    (path,) = write_isbi(bright_is_cell(), [folder, tmp_path / "a-stack.tif"], out)
    np.testing.assert_array_equal(np.round(tifffile.imread(path) * 255), images)


def test_slices_are_written_with_lines_between_merged_regions(tmp_path: Path) -> None:
    """Two cells; their membrane has a gap, which joins them above any threshold of the probabilities."""
    pixels = np.zeros((2, 48, 96), np.uint8)
    pixels[:, 3:-3, 3:-3] = 255
    pixels[:, :, 47:50] = 0
    pixels[:, 21:27, 47:50] = 255
    tifffile.imwrite(tmp_path / "slices.tif", pixels, photometric="minisblack")
    (path,) = write_isbi(bright_is_cell(), [tmp_path / "slices.tif"], tmp_path, 0.5)
    written, truth = tifffile.imread(path), pixels > 0
    truth[:, 21:27, 47:50] = False
    assert ku.challenge.rand_error(truth, pixels / 255) > 0.2
    assert ku.challenge.rand_error(truth, written) < 0.01
    np.testing.assert_array_equal(written, np.stack([merged_map(one / np.float32(255), 0.5) for one in pixels]))


def test_slices_of_several_sizes_leave_no_stack(tmp_path: Path) -> None:
    for name, size in (("a", 8), ("b", 9)):
        Image.fromarray(grey(8, size)).save(tmp_path / f"{name}.png")
    with pytest.raises(
        ValueError, match=r"b.png: expected slices of one size, \(8, 8\) as in a.png. Received \(8, 9\)"
    ):
        list(write_isbi(bright_is_cell(), [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", [write_isbi, lambda *args: write_ctc(*args, InstanceSettings())])
def test_models_of_more_classes_are_refused(tmp_path: Path, write: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected a model of two classes.*Received 3 classes"):
        list(write(bright_is_cell(3), [tmp_path], tmp_path / "out"))


@pytest.mark.parametrize(
    ("probability", "sentence"),
    [
        (np.zeros((4, 5)), r"probabilities \(slices, height, width\), not empty. Received \(4, 5\)"),
        (np.zeros((0, 4, 5)), "not empty"),
        (np.full((1, 2, 2), 1.5), r"Expected probabilities in \[0, 1\] without NaN"),
        (np.full((1, 2, 2), np.nan), "without NaN"),
    ],
)
def test_what_is_no_stack_of_probabilities_is_refused(tmp_path: Path, probability: Pixels, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_em_stack(tmp_path / "r.tif", probability)
    assert not list(tmp_path.iterdir())


def test_mask_is_uint16_and_losslessly_compressed_like_those_of_the_challenge(real_data: Path, tmp_path: Path) -> None:
    theirs = real_data / "DIC-C2DH-HeLa" / "01_GT" / "SEG" / "man_seg039.tif"
    ours = write_mask(tmp_path / "01_RES" / "mask039.tif", tifffile.imread(theirs).astype(np.int32))
    pages = [tifffile.TiffFile(path).pages.first for path in (theirs, ours)]
    assert pages[0].dtype == pages[1].dtype == np.uint16
    assert pages[0].compression == pages[1].compression == tifffile.COMPRESSION.LZW
    np.testing.assert_array_equal(image_io.read_labels(ours), tifffile.imread(theirs))


def test_mask_holds_65535_objects_and_no_more(tmp_path: Path) -> None:
    ids = np.arange(2**16).reshape(256, 256)
    np.testing.assert_array_equal(tifffile.imread(write_mask(tmp_path / "mask000.tif", ids)), ids)
    with pytest.raises(ValueError, match="at most 65535 objects, as masks are uint16. Received 65536"):
        write_mask(tmp_path / "mask001.tif", ids + 1)
    with pytest.raises(ValueError, match=r"ends in .tif. Received 'mask001.png'"):
        write_mask(tmp_path / "mask001.png", ids)
    assert [path.name for path in tmp_path.iterdir()] == ["mask000.tif"]


def test_masks_keep_the_numbers_of_their_frames(real_data: Path) -> None:
    assert mask_names(["01/t039.tif", "t000.tif"]) == ["mask039.tif", "mask000.tif"]
    assert mask_names(["t0039.tif", "t1000.tif"]) == ["mask0039.tif", "mask1000.tif"]
    assert mask_names(["frame7.png", "well2_12.png"]) == ["mask007.tif", "mask012.tif"]
    assert mask_names(["t998.tif", "t1001.tif"]) == ["mask0998.tif", "mask1001.tif"]
    folder = real_data / "ctc_evaluation_vectors" / "real_log_15_frames" / "02_RES"  # of six digits
    theirs = [path.name for path in image_io.list_images(folder)]
    assert mask_names([name.replace("mask", "t") for name in theirs]) == theirs


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["01/cells.tif"], "01/cells.tif: expected a name that ends in a frame number, such as t039.tif"),
        (
            ["01/t039.tif", "01/t039.png"],
            "one image per frame. Received '01/t039.tif' and '01/t039.png', both for mask039.tif",
        ),
        (["01/t0039.tif", "01/t39.tif"], "both for mask0039.tif"),
        (["new/t039.tif"], "called after its sequence, such as 01/t039.tif. Received the folder 'new'"),
    ],
)
def test_frames_that_cannot_be_named_are_refused(names: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        mask_files([Path(name) for name in names])


def test_two_sequences_have_a_folder_each() -> None:
    assert mask_files([Path("01/t000.tif"), Path("02/t000.tif"), Path("02/t0001.tif")]) == {
        Path("01/t000.tif"): Path("01_RES/mask000.tif"),
        Path("02/t000.tif"): Path("02_RES/mask0000.tif"),
        Path("02/t0001.tif"): Path("02_RES/mask0001.tif"),
    }


def test_seg_of_the_written_folder_is_that_of_the_objects_in_memory(real_data: Path, tmp_path: Path) -> None:
    """Official answers of another program: 0.232874 for these masks, by the challenge's SEGMeasure."""
    dataset = real_data / "ctc_evaluation_vectors" / "testing_dataset"
    for path in image_io.list_images(dataset / "01_RES"):
        write_mask(tmp_path / "01_RES" / path.name, image_io.read_labels(path))
    assert seg_of_sequence(dataset, "01", tmp_path / "01_RES") == pytest.approx(0.232874, abs=1e-6)


def test_frames_are_segmented_into_the_folder_that_seg_reads(real_data: Path, tmp_path: Path) -> None:
    truth = real_data / "DIC-C2DH-HeLa" / "01_GT" / "SEG"
    gold = {number: tifffile.imread(truth / f"man_seg{number:03d}.tif") for number in (39, 54)}
    for number, labels in gold.items():
        for folder, name, pixels in (
            ("01", f"t{number:03d}.tif", np.where(labels > 0, 255, 0).astype(np.uint8)),
            ("01_GT/SEG", f"man_seg{number:03d}.tif", labels),
        ):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / folder / name, pixels)
    settings = InstanceSettings(min_size=20)
    written = list(write_ctc(bright_is_cell(), [tmp_path / "01"], tmp_path, settings))
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["01_RES/mask039.tif", "01_RES/mask054.tif"]
    found = [settings.find((labels > 0).astype(np.float32)) for labels in gold.values()]
    for path, labels in zip(written, found, strict=True):
        np.testing.assert_array_equal(tifffile.imread(path), labels)
    in_memory = seg_measure(list(gold.values()), found)
    assert 0 < in_memory < 1  # cells that touch are one here
    assert seg_of_sequence(tmp_path, "01") == in_memory


def test_a_frame_that_fails_is_told_and_the_others_follow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "01").mkdir()
    tifffile.imwrite(tmp_path / "01" / "t000.tif", grey(3, 8, 8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "01" / "t001.tif", grey(8, 8))
    with pytest.raises(ValueError, match="Expected to segment 2 files. Received 1"):
        list(write_ctc(bright_is_cell(), [tmp_path / "01"], tmp_path, InstanceSettings()))
    assert "expected a single image. Received a stack of 3" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "01_RES").iterdir()] == ["mask001.tif"]


def test_predict_writes_for_both_challenges(net: Path, tmp_path: Path) -> None:
    images = grey(2, 20, 24)
    (tmp_path / "01").mkdir()
    tifffile.imwrite(tmp_path / "volume.tif", images)
    for number, image in enumerate(images):
        tifffile.imwrite(tmp_path / "01" / f"t{number:03d}.tif", image)
    model = ku.load_model(net)
    expected = [ku.predict(model, image)[..., 1] for image in images]
    done = run("predict", net, "volume.tif", "--format", "isbi", "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout.split()) == (0, ["out/result-volume.tif"]), done.stderr
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out" / "result-volume.tif"), expected, atol=1e-5)
    done = run("predict", net, "01", "--format", "ctc", "--min-size", 3, "--out", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "01_RES/mask001.tif"
    sentence = mistake("predict", net, "volume.tif", "--format", "ctc", "--out", "new", cwd=tmp_path)
    assert "called after its sequence" in sentence
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--format", "isbi", "--stream"), "Expected --format isbi without --stream. Received both"),
        (("--format", "isbi", "--instances"), "Expected --format isbi, a stack of probabilities, without --instances"),
        (("--format", "isbi", "--min-size", "5"), "Expected --instances with --min-size"),
        (("--format", "ctc", "--output", "classes"), "Expected --stream with --output"),
        (("--format", "zarr"), "Expected --stream with --format"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(options: tuple[str, ...], sentence: str) -> None:
    assert sentence in wrong_use("predict", "m", "a.png", *options)
