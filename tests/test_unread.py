"""Folders read sample by sample: the same data set and shards as from memory, with few files in it at a time."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.command_line import done
from PIL import Image

from keras_unet import datasets
from keras_unet.datasets import LabelledImages, folders, lazy_samples
from keras_unet.pipeline.shard_writer import write_shards
from keras_unet.training.provenance import fingerprint

FILES = 9


def picture(number: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 200, shape).astype(np.uint8)


def ids(rows: int, objects: int = 6) -> np.ndarray:
    """Touching objects in a row, each in one piece."""
    labels = np.zeros((rows, 5 * objects), np.uint16)
    for number in range(objects):
        labels[4:12, 5 * number : 5 * number + 4 + number % 2] = number + 1
    return labels


def singles(root: Path) -> Path:
    """Files of different sizes and pixel types, with object ids."""
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for number in range(FILES):
        labels = ids(16 + number)
        pixels = picture(number, *labels.shape).astype(np.uint16 if number % 2 else np.uint8)
        tifffile.imwrite(root / "images" / f"{number}.tif", pixels)
        tifffile.imwrite(root / "labels" / f"{number}.tif", labels)
    return root


def stacks(root: Path) -> Path:
    """Pairs of files with several pages, masks of 0 and 255."""
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for number in range(3):
        volume = picture(number, 2 + number, 16, 20)
        tifffile.imwrite(root / "images" / f"{number}.tif", volume, photometric="minisblack")
        masks = np.where(volume > 100, 255, 0).astype(np.uint8)
        tifffile.imwrite(root / "labels" / f"{number}.tif", masks, photometric="minisblack")
    return root


def object_masks(root: Path) -> Path:
    """A folder for each image, with a mask file for each object."""
    for number in range(FILES):
        for folder in ("images", "masks"):
            (root / f"{number}" / folder).mkdir(parents=True)
        Image.fromarray(picture(number, 16, 30, 3)).save(root / f"{number}" / "images" / "image.png")
        for mask in range(2):
            inside = np.where(ids(16) == mask + 1, 255, 0).astype(np.uint8)
            Image.fromarray(inside).save(root / f"{number}" / "masks" / f"{mask}.png")
    return root


def same_description(one: LabelledImages, other: LabelledImages) -> bool:
    names = ("names", "kind", "num_classes", "class_names", "ignore_label", "channels", "value_range", "notes")
    return all(getattr(one, name) == getattr(other, name) for name in names)


@pytest.mark.parametrize("layout", [singles, stacks, object_masks])
def test_shards_are_byte_for_byte_those_from_memory(layout: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    root = layout(tmp_path / "data")
    written = []
    for in_memory in (True, False):
        data = datasets.load("folder", root, in_memory=in_memory)
        write_shards(data, tmp_path / str(in_memory), shard_bytes=5000)
        written.append({path.name: path.read_bytes() for path in (tmp_path / str(in_memory)).iterdir()})
    assert len(written[0]) > 2
    assert written[0] == written[1]


def test_a_data_set_in_files_is_described_and_divided_like_one_in_memory(tmp_path: Path) -> None:
    """Samples in any order, each with its own page; what identifies the data is the same too."""
    root = stacks(tmp_path)
    data, lazily = (datasets.load("folder", root, in_memory=in_memory) for in_memory in (True, False))
    assert same_description(data, lazily)
    order = [8, 0, 4]
    assert same_description(data.subset(order), lazily.subset(order))
    assert fingerprint(lazily.subset(order)) == fingerprint(data.subset(order))
    assert [sample.name for sample in lazily.samples[1:3]] == list(data.names[1:3])


class Watch:
    """Counts the arrays read from files that are still alive, each time one is read.

    Garbage is collected before, of what was made since: all else is left out, which makes it a hundred times faster.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alive: weakref.WeakSet[Any] = weakref.WeakSet()
        self.most = self.reads = 0
        gc.freeze()
        for module, name in ((folders, "read_stack"), (folders, "read_image"), (lazy_samples, "read_label_stack")):
            monkeypatch.setattr(module, name, self._watched(getattr(module, name)))

    def _watched(self, read: Any) -> Any:
        def watched(path: Path) -> np.ndarray:
            gc.collect()
            self.most, self.reads = max(self.most, len(self.alive) + 1), self.reads + 1
            base = read(path)
            self.alive.add(holder := base.view(Held))
            return holder

        return watched


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """Let garbage of before a `Watch` be collected again."""
    yield
    gc.unfreeze()


class Held(np.ndarray):
    """An array that can be watched by weak references, which those that views are made of keep alive."""

    __hash__ = object.__hash__  # type: ignore[assignment]


@pytest.mark.parametrize(("layout", "reads"), [(singles, 5 * FILES), (object_masks, 2 * FILES)])
def test_no_more_than_two_samples_are_in_memory_at_a_time(
    layout: Any, reads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images twice and labels three times: to be understood, to be checked, to be written."""
    (tmp_path / "data").mkdir()
    root, watch = layout(tmp_path / "data"), Watch(monkeypatch)
    write_shards(datasets.load("folder", root, in_memory=False), tmp_path / "shards")
    assert watch.most <= 4
    assert watch.reads >= reads
    kept = datasets.load("folder", root)
    gc.collect()
    assert len(watch.alive) >= len(kept)


def test_a_stack_is_read_once_for_all_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets.load("folder", stacks(tmp_path), in_memory=False)
    watch = Watch(monkeypatch)
    assert len(list(data)) == 9
    assert watch.reads == 2 * 3


@pytest.mark.parametrize(
    "changed", [np.zeros((1, 16, 20), np.uint8), np.zeros((4, 16, 20), np.uint16), np.zeros((4, 16, 20, 3), np.uint8)]
)
def test_a_file_that_changes_between_two_readings_is_named(changed: np.ndarray, tmp_path: Path) -> None:
    data = datasets.load("folder", stacks(tmp_path), in_memory=False)
    tifffile.imwrite(tmp_path / "images" / "2.tif", changed, photometric="rgb" if changed.ndim == 4 else "minisblack")
    tifffile.imwrite(tmp_path / "labels" / "2.tif", np.zeros(changed.shape[:3], np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match=r"2\.tif, page \d: expected the image and labels found at first"):
        list(data)


def test_what_is_wrong_with_a_file_is_told_before_anything_is_written(tmp_path: Path) -> None:
    root = singles(tmp_path)
    tifffile.imwrite(root / "images" / "8.tif", np.zeros((24, 30, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match=r"8\.tif: channel counts differ"):
        datasets.load("folder", root, in_memory=False)
    tifffile.imwrite(root / "images" / "8.tif", np.zeros((23, 30), np.uint8))
    with pytest.raises(ValueError, match=r"8\.tif: image and labels differ in size"):
        datasets.load("folder", root, in_memory=False)


def test_the_command_reads_a_folder_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    root, watch = singles(tmp_path / "data"), Watch(monkeypatch)
    out, config = tmp_path / "shards", tmp_path / "run.toml"
    config.write_text('data = {name = "folder"}')
    said = done("shard", config, "--data", root, "--out", out)
    assert watch.most <= 4
    assert "in_memory" not in said
    assert datasets.load("shards", out).names == datasets.load("folder", root).names
