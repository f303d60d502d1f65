"""Files that are whole or absent: what a write that fails leaves, and that its error names the file."""

import errno
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet import image_io
from keras_unet.export.description import DESCRIPTION_FILE, write_description
from keras_unet.training.checkpoints import Checkpoints, Progress
from keras_unet.training.config import config_from_dict
from keras_unet.training.monitoring import CsvLog
from keras_unet.training.run_folder import RunFolder
from keras_unet.training.trainer import Trainer
from keras_unet.utils.atomic_files import PARTIAL, check_writable, write_text, written_aside

NOISE = np.random.default_rng(0).integers(0, 2**31 - 1, (200, 200))


@contextmanager
def no_room(size: int = 16384) -> Iterator[None]:
    """Have the system refuse to write past `size` bytes of any file, as it refuses on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    model = ku.UNet((None, None, 1), filters=8, depth=1)
    return Trainer(model, keras.optimizers.SGD(0.1), ku.WeightedCrossentropy())


def write_model(path: Path, trainer: Trainer) -> None:
    with written_aside(path) as aside:
        trainer.model.save(aside)


def write_log(path: Path, _: Trainer) -> None:
    log = CsvLog(path)
    for step in range(5000):
        log.write({"step": step, "loss": 0.5})


WRITERS: dict[str, Callable[[Path, Trainer], Any]] = {
    "picture.png": lambda path, _: image_io.write_image(path, NOISE.astype(np.uint8)),
    "labels.png": lambda path, _: image_io.write_labels(path, NOISE % 65536),
    "labels.tif": lambda path, _: image_io.write_labels(path, NOISE),
    "weights.tif": lambda path, _: image_io.write_probabilities(path, NOISE[..., None]),
    "config.toml": lambda path, _: write_text(path, "x" * 20000),
    "step-00000001.npz": lambda path, trainer: Checkpoints(path.parent).save(trainer, Progress(1)),
    "model.keras": write_model,
    "log.csv": write_log,
    str(DESCRIPTION_FILE): lambda path, _: write_description(path.parents[1], {"metadata": "x" * 20000}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_an_error_of_writing_names_the_file_and_leaves_nothing_unfinished(
    name: str, tmp_path: Path, trainer: Trainer
) -> None:
    path = tmp_path / name
    with no_room(), pytest.raises(OSError, match=re.escape(str(path))) as caught:
        WRITERS[name](path, trainer)
    assert PARTIAL not in str(caught.value)
    left = [entry for entry in tmp_path.rglob("*") if entry.is_file()]
    assert left == ([path] if name == "log.csv" else [])  # the lines before are worth keeping


def test_the_number_of_the_error_is_kept(tmp_path: Path) -> None:
    with no_room(), pytest.raises(OSError, match="a.txt") as caught:
        write_text(tmp_path / "a.txt", "x" * 20000)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "a.txt"))


def test_what_was_there_stays_when_it_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.txt"):
        write_text(tmp_path / "a.txt", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with written_aside(path) as one, written_aside(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_run_clears_what_a_killed_one_left_and_touches_no_other_folder(tmp_path: Path) -> None:
    config = config_from_dict({})
    run = RunFolder(tmp_path / "run")
    run.open(config)
    for folder in (run.path, tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        (folder / f"{PARTIAL}0-model.keras").write_text("half")
    run.open(config)
    assert [entry.name for entry in run.path.iterdir()] == ["config.toml"]
    RunFolder(tmp_path / "other").open(config)
    assert (tmp_path / "other" / f"{PARTIAL}0-model.keras").exists()


def test_a_link_stays_and_the_file_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "there" / "file.txt")
    for text in ("first", "second"):
        write_text(tmp_path / "link.txt", text)
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "there" / "file.txt").read_text() == text


def test_no_file_takes_the_place_of_a_device_or_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="Expected the name of a file to write. Received '.*pipe', a device or"):
        write_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_that_is_no_text_is_written_by_its_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "names.txt", "a\udcff.png")
    assert (tmp_path / "names.txt").read_text() == r"a\udcff.png"


@pytest.mark.parametrize(
    ("path", "folder", "message"),
    [
        ("file", True, "Expected the name of a folder to write. Received '.*file', which is a file"),
        ("folder", False, "Expected the name of a file to write. Received '.*folder', which is a folder"),
        ("file/new", True, "Expected a folder to write '.*file/new' in. Received '.*file', a file"),
        ("file/new/a.csv", False, "Expected a folder to write '.*a.csv' in. Received '.*file', a file"),
    ],
)
def test_what_cannot_be_written_is_told_beforehand(path: str, folder: bool, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=message):
        check_writable(tmp_path / path, folder)


@pytest.mark.parametrize(("path", "folder"), [("file", False), ("folder", True), ("new/a.csv", False), ("a/b", True)])
def test_what_can_be_written_leaves_nothing(path: str, folder: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    check_writable(tmp_path / path, folder)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"
