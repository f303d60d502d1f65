"""The command as a user types it: help, one sentence for wrong use, the version, figures of a net."""

from pathlib import Path

import pytest
from helpers.command_line import mistake, run, run_process, wrong_use

import keras_unet as ku

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
        (("evaluate", "m", "--truth", "t", "--pictures", "t"), "Expected --pictures elsewhere than results and truth"),
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
        (("predict", "m", "a.png", "--seed-threshold", "0.8"), "Expected --instances with --seed-threshold"),
        (("predict", "m", "a.png", "--expand", "2"), "Expected --instances with --expand"),
        (("predict", "m", "a.png", "--class", "axon"), "Expected --instances with --class"),
        (
            ("predict", "m", "a.png", "--instances", "--threshold", "0.5", "--seed-threshold", "0.4"),
            "Expected --seed-threshold of at least --threshold 0.5. Received 0.4",
        ),
        (("predict", "m", "a.png", "--merge-threshold", "0.7"), "Expected --format isbi with --merge-threshold"),
        (("predict", "m", "a.png", "--format", "isbi", "--merge-threshold", "1.5"), "--merge-threshold"),
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


def test_info_prints_the_papers_figures() -> None:
    done = run_process("info")
    assert done.returncode == 0, done.stderr
    for figure in ("31,030,658", "150.4 G", "572 x 572 -> 388 x 388", "188, 204, 220"):
        assert figure in done.stdout
    assert done.stderr == "", "TensorFlow's start-up messages are held back"


def test_info_names_the_nearest_legal_size(net: Path) -> None:
    done = run("info", net, "--size", "45")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("keras-unet: ")
    assert "Nearest legal: 44 or 46" in sentence


def test_a_damaged_model_is_named(net: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.keras").write_bytes(net.read_bytes()[:2000])
    assert "cut.keras" in mistake("info", tmp_path / "cut.keras")


def test_version_is_printed() -> None:
    assert run_process("--version").stdout.strip() == f"keras-unet {ku.__version__}"
