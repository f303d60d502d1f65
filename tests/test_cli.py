"""The command as a user types it: exit status, one sentence for a mistake, and the files it leaves."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import keras_unet as ku
from keras_unet import image_io
from keras_unet.cli import app
from keras_unet.commands.value_range import check_range

COMMANDS = (
    "demo",
    "preview",
    "find-lr",
    "train",
    "evaluate",
    "tune",
    "report",
    "predict",
    "export",
    "segment",
    "shard",
    "data-worker",
    "weight-map",
    "info",
)


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "keras-unet", *arguments]
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def wrong_use(*arguments: object) -> str:
    """What is printed on wrong use, out of its frame."""
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == 2, done.output
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())


def mistake(*arguments: object, cwd: Path | None = None) -> str:
    """The sentence that a mistake is answered with."""
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("keras-unet: ")
    assert "Traceback" not in done.stderr
    return lines[-1]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.keras"
    ku.UNet((None, None, 1), filters=2, depth=1).save(path)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_subcommand_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Usage: keras-unet" in done.stdout


def test_wrong_use_ends_in_status_2() -> None:
    assert run("no-such-command").returncode == 2
    assert run("predict").returncode == 2
    assert run("train", "synthetic").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("predict", "m", "a.png", "--threshold", "0.5"), "Expected --instances with --threshold"),
        (("predict", "m", "a.png", "--min-size", "0"), "Expected --instances with --min-size"),
        (("predict", "m", "a.png", "--instances", "--threshold", "nan"), "--threshold"),
        (("evaluate", "m", "--dataset", "folder"), "Expected --data with --dataset"),
        (("evaluate", "m", "--label-kind", "binary"), "Expected --data with --label-kind"),
        (("evaluate", "m", "--ignore-label", "255"), "Expected --data with --ignore-label"),
        (("evaluate", "m", "--metrics", "v_rnd"), "Received 'v_rnd'. Did you mean 'v_rand'?"),
        (("evaluate", "m", "--truth", "t", "--tile", "64"), "Expected --truth without --tile"),
        (("evaluate", "m", "--truth", "t", "--result-kind", "mask"), "Expected --result-kind labels or probabilities"),
        (("evaluate", "m", "--pictures", __file__), "--pictures"),
        (("evaluate", "m", "--csv", "truth.tif"), "Expected a file name in .csv for --csv. Received 'truth.tif'"),
        (("evaluate", "m", "--json", ""), "Expected a file name in .json for --json. Received '.'"),
        (("evaluate", "m", "--result-kind", "labels"), "Expected --truth with --result-kind"),
        (("evaluate", "m", "--threshold", "1.5"), "--threshold"),
        (("predict", "m", "a.png", "--watershed"), "Expected --instances with --watershed"),
        (("predict", "m", "a.png", "--depth", "4"), "Expected --instances with --depth"),
        (("predict", "m", "a.png", "--instances", "--components", "--depth", "4"), "--depth without --components"),
        (("predict", "m", "a.png", "--instances", "--depth", "nan"), "--depth"),
        (("predict", "m", "a.png", "--components"), "Expected --instances with --components"),
        (("evaluate", "m", "--data", ".", "--dataset", "fodler"), "Received 'fodler'. Did you mean \"folder\"?"),
        (("evaluate", "m", "--data", ".", "--dataset", "synthetic"), "Expected no path"),
        (("evaluate", "m", "--data", ".", "--label-kind", "instance"), 'Did you mean "instances"?'),
        (("evaluate", "m", "--data", ".", "--dataset", "isbi2012", "--label-kind", "binary"), "set folder"),
        (("train", "synthetic", "--out", "r", "--set", "training.steps"), "Expected an override section.key=value"),
        (("train", "synthetic", "--out", "r", "--set", "training.steps=0"), "training.steps: Expected a value greater"),
        (("train", "synthetic"), "Expected --out, the run folder, or --profile"),
        (("train", "synthetic", "--profile", "--overwrite"), "Expected --overwrite without --profile"),
        (("predict", "m", "a.png", "--averaging", "all"), "'all' is not one of 'none', 'flips', 'rotations', 'square'"),
        (("predict", "m", "a.png", "--stream", "--output", "logits"), "not one of 'classes', 'probabilities'"),
        (("predict", "m", "a.png", "--stream", "--format", "png"), "not one of 'tif', 'zarr'"),
        (("export", "m", "models", "--dtype", "int64"), "not one of 'float32', 'uint8', 'uint16', 'int16'"),
        (("weight-map", "a.png", "--w0", "inf"), "Expected a finite number. Received inf"),
        (("weight-map", "a.png", "--sigma", "inf"), "Expected a finite number"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in wrong_use(*arguments)


def test_labels_without_an_object_can_be_evaluated_when_their_kind_is_told(net: Path, tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / folder / "a.png")
    done = run("evaluate", net, "--data", tmp_path, "--label-kind", "binary")
    assert done.returncode == 0, done.stderr
    assert "pixel accuracy" in done.stdout


def test_figures_that_labels_do_not_allow_are_refused_in_a_sentence(net: Path, tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / folder / "a.png")
    arguments = ("evaluate", net, "--data", tmp_path, "--label-kind", "binary", "--metrics")
    assert "at least one object for v_rand. Received background alone" in mistake(*arguments, "v_rand")
    assert "a truth of instance ids for seg" in mistake(*arguments, "iou,seg")
    assert "Expected a run folder" in mistake("tune", net)


def test_results_of_another_size_are_named(tmp_path: Path) -> None:
    for folder, size in (("truth", 20), ("out", 19)):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.eye(size, dtype=np.uint8)).save(tmp_path / folder / "a.png")
    assert "a.png: expected the size of" in mistake("evaluate", tmp_path / "out", "--truth", tmp_path / "truth")


def test_info_prints_the_papers_figures() -> None:
    done = run("info")
    assert done.returncode == 0, done.stderr
    for figure in ("31,030,658", "150.4 G", "572 x 572 -> 388 x 388", "188, 204, 220"):
        assert figure in done.stdout
    assert done.stderr == "", "TensorFlow's start-up messages are held back"


def test_info_names_the_nearest_legal_size() -> None:
    assert "Nearest legal: 572 or 588" in mistake("info", "--size", "573")


def test_predict_writes_labels_probabilities_overlay_and_instances(net: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (33, 47)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "one.png")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([image] * 2), photometric="minisblack")
    out = tmp_path / "out"
    done = run("predict", net, tmp_path / "one.png", tmp_path / "stack.tif", "--out", out, "--instances")
    assert done.returncode == 0, done.stderr
    kinds = ("labels.png", "probabilities.tif", "overlay.png", "instances.tif")
    stems = ("one", "stack_0000", "stack_0001")
    assert {path.name for path in out.iterdir()} == {f"{stem}_{kind}" for stem in stems for kind in kinds}
    probabilities = tifffile.imread(out / "one_probabilities.tif")
    np.testing.assert_allclose(np.moveaxis(probabilities, 0, -1), ku.predict(ku.load_model(net), image), atol=1e-5)
    np.testing.assert_array_equal(image_io.read_labels(out / "one_labels.png"), probabilities.argmax(axis=0))


def test_exported_model_predicts_what_the_keras_file_predicts(net: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (21, 30)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "cells.png")
    done = run("export", net, "models/cells", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "largest difference from predict" in done.stdout
    assert (tmp_path / "models" / "cells" / "1" / "saved_model.pb").is_file()
    done = run("predict", "models/cells", "cells.png", "--out", "served", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    served = np.moveaxis(tifffile.imread(tmp_path / "served" / "cells_probabilities.tif"), 0, -1)
    np.testing.assert_allclose(served, ku.predict(ku.load_model(net), image), atol=1e-4)


def test_averaging_is_chosen_in_prediction_and_fixed_in_export(net: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (21, 30)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "cells.png")
    done = run("export", net, "models", "--tta", "flips", "--precision", "bfloat16", "--warm-up", "8x9", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Largest difference from float32" in done.stdout
    assert ku.export.read_description(tmp_path / "models" / "1")["averaging"] == "flips"
    done = run("predict", net, "cells.png", "--averaging", "flips", "--out", "averaged", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    averaged = np.moveaxis(tifffile.imread(tmp_path / "averaged" / "cells_probabilities.tif"), 0, -1)
    np.testing.assert_allclose(averaged, ku.predict(ku.load_model(net), image, averaging="flips"), atol=1e-5)
    assert "fixed at export" in mistake("predict", "models", "cells.png", "--averaging", "flips", cwd=tmp_path)


def test_a_warm_up_size_that_is_none_is_wrong_use(net: Path, tmp_path: Path) -> None:
    done = run("export", net, tmp_path / "models", "--warm-up", "512")
    assert done.returncode == 2
    assert "Expected HEIGHTxWIDTH in pixels" in done.stderr
    assert not (tmp_path / "models").exists()


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


def test_a_file_that_fails_does_not_keep_the_others_from_being_segmented(net: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "c.png"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "b.png").write_text("no image")
    done = run("predict", net, tmp_path / "images", "--out", tmp_path / "out", "--instances")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("keras-unet: ")]
    assert "b.png: expected an image" in told[0]
    assert told[1] == "keras-unet: Expected to segment 3 files. Received 1 that could not be, told above."
    assert "Objects are components above 0.5, from 0 pixels on." in done.stderr
    assert {path.stem[0] for path in (tmp_path / "out").iterdir()} == {"a", "c"}


def test_predict_names_what_is_wrong_with_an_image(net: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "colour.png")
    tifffile.imwrite(tmp_path / "nan.tif", np.full((9, 9), np.nan, np.float32))
    (tmp_path / "empty").mkdir()
    sentences = {
        "text.png": "text.png",
        "colour.png": "Expected 1 channel",
        "nan.tif": "NaN",
        "empty": "Expected a folder that holds images",
        "missing.png": "not found",
    }
    for name, sentence in sentences.items():
        assert sentence in mistake("predict", net, tmp_path / name, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def pixels(low: float, high: float, dtype: str) -> NDArray[Any]:
    """Evenly from `low` to `high`."""
    return np.linspace(low, high, 10_000).reshape(100, 100, 1).astype(dtype)


def with_hot(image: NDArray[Any], count: int) -> NDArray[Any]:
    image = image.copy()
    image.flat[:count] = np.iinfo(image.dtype).max
    return image


@pytest.mark.parametrize(
    ("image", "value_range", "is_far"),
    [
        (pixels(0, 65535, "uint16"), (0, 255), True),
        (pixels(0, 4095, "uint16"), (0, 255), True),
        (pixels(0, 1, "float32"), (0, 255), True),
        (pixels(-1, 1, "float32"), (0, 255), True),
        (pixels(0, 255, "uint8"), (0, 65535), True),
        (pixels(0, 255, "uint8"), (0, 4095), True),
        (pixels(0, 255, "uint8"), (0, 1), True),
        (pixels(0, 3000, "uint16"), (32000, 34000), True),
        (with_hot(pixels(0, 250, "uint16"), 11), (0, 255), True),
        (with_hot(pixels(0, 250, "uint16"), 9), (0, 255), False),
        (pixels(0, 255, "uint8"), (0, 255), False),
        (pixels(0, 20, "uint8"), (0, 255), False),
        (pixels(0, 400, "uint16"), (0, 255), False),
        (pixels(0, 0, "uint8"), (0, 255), False),
        (pixels(0, 0, "float32"), (0, 255), False),
        (pixels(0, 255, "float32"), (0, 255), False),
        (pixels(0, 700, "uint16"), (0, 65535), False),
        (pixels(31000, 36000, "uint16"), (32000, 34000), False),
        (pixels(0, 1, "float64"), (-3, 5), False),
        (pixels(0, 1.5, "float16"), (0, 1), False),
    ],
)
def test_pixels_are_far_where_no_darker_or_brighter_image_would_be(
    image: NDArray[Any], value_range: tuple[float, float], is_far: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    check_range(Path("a.tif"), image, value_range)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == is_far
    for line in lines:
        ends = [f"{image.min():g} to {image.max():g} ({image.dtype})", "{:g} to {:g} of".format(*value_range)]
        assert line.startswith("keras-unet: a.tif: its pixels, ")
        assert all(part in line for part in ends)


@pytest.mark.parametrize("exported", [False, True])
def test_predict_warns_once_per_file_of_pixels_far_from_the_models(net: Path, tmp_path: Path, exported: bool) -> None:
    tifffile.imwrite(
        tmp_path / "deep.tif", np.stack([pixels(0, 65535, "uint16")[..., 0]] * 2), photometric="minisblack"
    )
    tifffile.imwrite(tmp_path / "dark.tif", pixels(0, 60, "uint16")[..., 0])
    model = ku.export.save(ku.load_model(net), tmp_path / "m", tile=44, verify=False) if exported else net
    done = run("predict", model, tmp_path / "deep.tif", tmp_path / "dark.tif", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "far from" in line]
    assert len(told) == 1
    assert "deep.tif: its pixels, 0 to 65535 (uint16), are far from the 0 to 255 of" in told[0]


def test_predict_names_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    assert "model.keras" in mistake("predict", tmp_path, tmp_path / "a.png", "--out", tmp_path / "out")
    assert "does not exist" in mistake("predict", tmp_path / "none", tmp_path / "a.png", "--out", tmp_path / "out")


def test_two_images_of_one_name_are_refused(net: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / folder / "cell.png")
    sentence = mistake("predict", net, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert "'cell' twice" in sentence


def test_results_do_not_mix_with_images_or_each_other(net: Path, tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((9, 9), np.uint8))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        image.save(tmp_path / folder / "cell.png")
    assert "another folder" in mistake("predict", net, tmp_path / "a", "--out", tmp_path / "a")
    assert "'cell' twice" in mistake("weight-map", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert "is a file" in mistake("predict", net, tmp_path / "a", "--out", net)
    assert not (tmp_path / "out").exists()


def test_weight_map_of_huge_ids_takes_no_more_than_the_image(tmp_path: Path) -> None:
    labels = np.zeros((30, 30), np.uint32)
    labels[5:12, 5:12], labels[15:22, 5:12] = 2_147_483_647, 2_147_483_000
    tifffile.imwrite(tmp_path / "cells.tif", labels)
    assert run("weight-map", tmp_path / "cells.tif", "--out", tmp_path).returncode == 0
    np.testing.assert_allclose(tifffile.imread(tmp_path / "cells_weights.tif"), ku.weight_map(labels), rtol=1e-6)


def test_a_damaged_model_is_named(net: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.keras").write_bytes(net.read_bytes()[:2000])
    assert "cut.keras" in mistake("info", tmp_path / "cut.keras")


def test_a_damaged_export_and_a_damaged_report_are_named(net: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "models" / "1").mkdir(parents=True)
    (tmp_path / "models" / "1" / "saved_model.pb").write_bytes(b"no graph")
    arguments = (tmp_path / "a.png", "--out", tmp_path / "out", "--instances", "--threshold", "0.5")
    assert "damaged one" in mistake("predict", tmp_path / "models", *arguments)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(net.read_bytes())
    (tmp_path / "run" / "report.json").write_text("{")
    assert "report.json" in mistake("export", tmp_path / "run", tmp_path / "out")


def test_demo_leaves_a_folder_of_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "overlay.png").write_text("mine")
    assert "other files" in mistake("demo", "--out", tmp_path, "--steps", "1")
    assert (tmp_path / "overlay.png").read_text() == "mine"


def test_version_is_printed() -> None:
    assert run("--version").stdout.strip() == f"keras-unet {ku.__version__}"


def test_train_names_the_nearest_key_and_leaves_nothing(tmp_path: Path) -> None:
    sentence = wrong_use("train", "synthetic", "--out", tmp_path / "run", "--set", "training.stepz=3")
    assert "Unknown key training.stepz. Did you mean steps?" in sentence
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_the_configuration_file_is_no_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[training]\nsteps = 0\n")
    arguments = ("train", tmp_path / "mine.toml", "--out", tmp_path / "run")
    assert "training.steps: Expected" in mistake(*arguments, "--set", "training.seed=1")


def test_train_without_data_names_the_folder(tmp_path: Path) -> None:
    sentence = mistake("train", "isbi2012-small", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert "nowhere" in sentence
    assert not (tmp_path / "run").exists()


def test_train_evaluate_and_resume_refusal(tmp_path: Path) -> None:
    small = [
        "model.filters=2",
        "model.depth=1",
        "training.input_size=34",
        "training.steps=4",
        "optimizer.warmup_steps=0",
    ]
    small += ["data.options={count=4,size=48}", "training.validate_every=2", "model.padding=valid"]
    arguments = ["train", "synthetic", "--out", tmp_path / "run"]
    for change in small:
        arguments += ["--set", change]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.keras").is_file()
    done = run("evaluate", tmp_path / "run", "--pictures", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    assert "pixel error" in done.stdout
    assert f"1 picture in {tmp_path / 'pictures'}." in done.stdout
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1
    assert "--overwrite" in mistake(*arguments)


def test_demo_in_a_small_mode_ends_with_its_picture(tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "demo", "--steps", "2")
    assert done.returncode == 0, done.stderr
    picture = image_io.read_image(tmp_path / "demo" / "overlay.png")
    assert picture.shape[1] > 4 * 768
    assert "overlay.png" in done.stdout
    assert (tmp_path / "demo" / "models" / "cells" / "1" / "saved_model.pb").is_file()
