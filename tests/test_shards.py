"""TFRecord shards: the same samples, weights and batches as from memory, whatever is damaged told in one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.command_line import done

from keras_unet import datasets, load_model, training
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.commands.shard import shard
from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.datasets.shard_reader import INDEX, ShardedImages
from keras_unet.models.geometry import Geometry
from keras_unet.pipeline.examples import class_balance, prepare
from keras_unet.pipeline.shard_writer import write_shards
from keras_unet.pipeline.tile_datasets import training_dataset, validation_dataset
from keras_unet.preprocessing.pixel_normalization import pixels_are_normalized
from keras_unet.training.config import config_from_dict
from keras_unet.training.data_split import split
from keras_unet.training.evaluation import evaluate
from keras_unet.training.provenance import fingerprint

NET = Geometry(depth=1)
TILE = 36


def images(kind: str = "instances", ignore: int | None = None, dtypes: tuple[str, ...] = ("uint8",)) -> LabelledImages:
    """Five images of different sizes, touching rectangles on noise."""
    samples = []
    for number in range(5):
        labels = np.zeros((40 + number, 44), np.int32)
        labels[8:24, 6:18], labels[8:24, 18:30], labels[30:36, 10:20] = 1, 2, 3
        noise = np.random.default_rng(number).integers(0, 200, (*labels.shape, 2))
        if kind == "classes":
            labels = (labels > 0).astype(np.int32)
        if ignore is not None:
            labels[:, :4] = ignore
        samples.append(Sample(f"image-{number}", noise.astype(dtypes[number % len(dtypes)]), labels))
    return LabelledImages(tuple(samples), kind, 2, ("background", "cell"), ignore, ("Rectangles.",))  # type: ignore[arg-type]


def sharded(folder: Path, data: LabelledImages, **options: Any) -> ShardedImages:
    write_shards(data, folder, **{"shard_bytes": 10_000, **options})
    read = datasets.load("shards", folder)
    assert isinstance(read, ShardedImages)
    return read


@pytest.mark.parametrize(
    ("kind", "ignore", "dtypes"),
    [("instances", None, ("uint8",)), ("classes", 255, ("uint8", "uint16")), ("instances", 9, ("float32",))],
)
def test_samples_and_what_is_known_of_them_come_back(
    tmp_path: Path, kind: str, ignore: int | None, dtypes: tuple[str, ...]
) -> None:
    data = images(kind, ignore, dtypes)
    read = sharded(tmp_path, data)
    assert len(list(tmp_path.glob("*.tfrecord"))) > 1
    for one, other in zip(data, read, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)
    for name in ("kind", "num_classes", "class_names", "ignore_label", "channels", "value_range", "names"):
        assert getattr(read, name) == getattr(data, name), name
    for part in ([0, 1, 2, 3, 4], [3, 1]):
        assert class_balance(read.subset(part)) == class_balance(data.subset(part))
        assert read.subset(part).names == data.subset(part).names


@pytest.mark.parametrize(("kind", "ignore", "w0"), [("instances", None, 10.0), ("classes", 255, 0.0)])
def test_batches_are_bit_for_bit_those_from_memory(tmp_path: Path, kind: str, ignore: int | None, w0: float) -> None:
    """Also from a batch in the middle, where a run is resumed: of a subset, shuffled over several epochs."""
    data = images(kind, ignore, ("uint8", "uint16"))
    shards = sharded(tmp_path, data)
    expected, received = (
        list(training_dataset(prepare(source.subset([4, 0, 2]), w0=w0), NET, TILE, batch_size=2, seed=7).take(5))
        for source in (data, shards)
    )
    assert_same_batches(expected, received)
    resumed = training_dataset(prepare(shards.subset([4, 0, 2]), w0=w0), NET, TILE, batch_size=2, seed=7, first_batch=3)
    assert_same_batches(expected[3:], list(resumed.take(2)))


def assert_same_batches(expected: list[Any], received: list[Any]) -> None:
    for one, other in zip(expected, received, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)


def test_validation_tiles_are_those_from_memory(tmp_path: Path) -> None:
    data = images()
    tiles = [list(validation_dataset(prepare(part), NET, TILE, 4)) for part in (data, sharded(tmp_path, data))]
    assert_same_batches(*tiles)


def test_other_programs_read_the_records(tmp_path: Path) -> None:
    """With TensorFlow's own reader, from the first shard on; the image is raw bytes."""
    data = images()
    sharded(tmp_path, data)
    files = sorted(str(path) for path in tmp_path.glob("*.tfrecord"))
    for sample, record in zip(data, tf.data.TFRecordDataset(files), strict=True):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        assert feature["image"].bytes_list.value[0] == sample.image.tobytes()


def test_workers_get_equal_shares_of_every_batch() -> None:
    examples = prepare(images())

    def batches(**share: int) -> list[np.ndarray]:
        settings = AugmentationSettings.none()
        dataset = training_dataset(examples, NET, TILE, settings=settings, batch_size=4, seed=3, first_batch=1, **share)
        return [image.numpy() for image, _, _ in dataset.take(3)]

    shares = [batches(worker=worker, workers=2) for worker in range(2)]
    for whole, *parts in zip(batches(), *shares, strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(parts))
    with pytest.raises(ValueError, match="batch_size a multiple of workers"):
        training_dataset(examples, NET, TILE, batch_size=3, workers=2)


def test_weights_of_another_border_are_refused(tmp_path: Path) -> None:
    shards = sharded(tmp_path, images(), w0=5.0)
    with pytest.raises(ValueError, match=r"loss\.w0 = 5 .* Received 10"):
        prepare(shards)
    assert len(prepare(shards, w0=0.0)) == 5


def test_a_folder_with_shards_is_replaced_only_when_told(tmp_path: Path) -> None:
    sharded(tmp_path, images())
    with pytest.raises(ValueError, match="--overwrite"):
        write_shards(images(), tmp_path)
    write_shards(images().subset([1]), tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [INDEX, "shard-00003.tfrecord"]
    assert datasets.load("shards", tmp_path).names == ("image-1",)


def test_shards_that_are_replaced_stay_until_the_new_ones_are_whole(tmp_path: Path) -> None:
    sharded(tmp_path, images())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(images(), tmp_path, overwrite=True, progress=fail)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("out", ["shards", "shards/", "link"])
def test_the_folder_that_shards_are_read_from_is_not_replaced(tmp_path: Path, out: str) -> None:
    sharded(tmp_path / "shards", images())
    (tmp_path / "link").symlink_to(tmp_path / "shards")
    config = config_from_dict({"data": {"name": "shards", "path": str(tmp_path / "shards")}})
    with pytest.raises(ValueError, match="Expected another folder than the shards are read from"):
        shard(config, f"{tmp_path}/{out}", overwrite=True)
    assert len(datasets.load("shards", tmp_path / "shards")) == 5


def test_nothing_is_left_of_shards_that_could_not_be_written(tmp_path: Path) -> None:
    def fail(count: int) -> None:
        if count == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(images(), tmp_path, shard_bytes=1000, progress=fail)
    assert list(tmp_path.iterdir()) == []


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda folder: (folder / INDEX).unlink(), "index.json: Expected the index"),
        (lambda folder: (folder / INDEX).write_text("{"), "index.json: Expected the index"),
        (lambda folder: (folder / INDEX).write_text("[]"), "index.json: Expected an index of format"),
        (lambda folder: (folder / "shard-00001.tfrecord").unlink(), "shard-00001.tfrecord: Expected a shard of"),
        (lambda folder: (folder / "shard-00001.tfrecord").write_bytes(b""), "Expected a shard of .* Received 0"),
        (lambda folder: damage(folder / "shard-00000.tfrecord"), "shard-00000.tfrecord: .*corrupted record"),
    ],
)
def test_damage_is_told_with_the_file(tmp_path: Path, harm: Any, sentence: str) -> None:
    sharded(tmp_path, images())
    harm(tmp_path)
    with pytest.raises(ValueError, match=sentence):
        list(datasets.load("shards", tmp_path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda index: index.pop("kind"), "Expected kind as .* Received none"),
        (lambda index: index.update(shards=None), "Expected shards as .* Received None"),
        (lambda index: index["samples"].update(name=[]), r"Expected the name of a sample at least. Received \[\]"),
        (lambda index: index["samples"].pop("offset"), "Expected offset for each of 5 samples. Received none"),
        (lambda index: index["samples"].update(dtype=None), "Expected dtype for each of 5 samples. Received None"),
        (lambda index: index["samples"].update(class_counts=[[1], 2]), "Expected class_counts for each"),
        (lambda index: index["samples"]["shard"].__setitem__(0, 99), "Expected a shard from 0 to 2. Received 99"),
        (lambda index: index["shards"].append("shard-00009.tfrecord"), "shard-00009.tfrecord: Expected a shard of 0"),
    ],
)
def test_an_index_of_another_form_is_told(tmp_path: Path, change: Any, sentence: str) -> None:
    sharded(tmp_path, images())
    index = json.loads((tmp_path / INDEX).read_text())
    change(index)
    (tmp_path / INDEX).write_text(json.dumps(index))
    with pytest.raises(ValueError, match=sentence):
        datasets.load("shards", tmp_path)


def test_images_that_tensorflow_cannot_hold_are_refused_by_name(tmp_path: Path) -> None:
    sample = Sample("huge", np.zeros((4, 4, 1), np.uint64), np.zeros((4, 4), np.int32))
    with pytest.raises(ValueError, match="huge: Expected pixels of"):
        write_shards(LabelledImages((sample,), "classes", 2, ("a", "b")), tmp_path)


def test_index_holds_what_a_reader_needs(tmp_path: Path) -> None:
    data = images()
    sharded(tmp_path, data)
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["samples"]["height"] == [sample.image.shape[0] for sample in data]
    ends = {}
    for number, offset, length in zip(*(index["samples"][key] for key in ("shard", "offset", "length")), strict=True):
        assert offset == ends.get(number, 0)
        ends[number] = offset + length
    assert ends == {i: (tmp_path / name).stat().st_size for i, name in enumerate(index["shards"])}


@pytest.mark.slow
def test_a_run_on_shards_is_the_run_on_files(tmp_path: Path) -> None:
    """Its loss is that of its weights on batches from memory, its report's figures are those of whole images from
    memory."""
    sharded(tmp_path / "shards", images())
    sections = {
        "data": {"name": "shards", "path": str(tmp_path / "shards"), "validate": [4]},
        "model": {"filters": 2, "depth": 1, "padding": "same", "dropout": 0.0},
        "training": {"steps": 1, "batch_size": 2, "input_size": 32, "log_every": 1, "augment_on": "device"},
    }
    config, out = config_from_dict(sections), tmp_path / "run"
    report = training.run(config, out, say=lambda line: None)
    parts = split(images(), config.data)
    fresh = training.training_run.build_trainer(config, parts.train)
    batches_from, _ = training.training_run.build_datasets(config, parts, fresh.model.geometry)
    image, label, weight = next(iter(fresh.tiles(batches_from(0))))
    loss = float((out / "log.csv").read_text().splitlines()[1].split(",")[1])
    with pixels_are_normalized():
        logits = fresh.model(image)
    assert loss == pytest.approx(float(fresh.loss(label, logits, sample_weight=weight)), rel=1e-4)
    figures = evaluate(load_model(out / "model.keras"), parts.validate, threshold=report["validation"]["threshold"])
    for name in ("mean_iou", "pixels", "seg", "rand_error"):
        assert report["validation"][name] == pytest.approx(figures[name], rel=1e-4), name


def test_a_record_that_is_damaged_ends_a_run_with_a_sentence(tmp_path: Path) -> None:
    sharded(tmp_path / "shards", images())
    last = max((tmp_path / "shards").glob("*.tfrecord"))  # the first ones are read before
    damage(last)
    sections = {
        "data": {"name": "shards", "path": str(tmp_path / "shards"), "validate": 0},
        "model": {"filters": 2, "depth": 1, "padding": "same"},
        "training": {"steps": 20, "batch_size": 2, "input_size": 32},
    }
    with pytest.raises(
        ValueError,
        match=rf"{last.name}: Expected the records that .* Received: corrupted record at \d+\. Once",
    ):
        training.run(config_from_dict(sections), tmp_path / "run", say=lambda line: None)


def test_fingerprints_are_those_of_the_files(tmp_path: Path) -> None:
    data = images(dtypes=("uint8", "uint16"))
    assert fingerprint(sharded(tmp_path, data).subset([3, 1])) == fingerprint(data.subset([3, 1]))


def test_the_command_writes_shards_that_train_reads(tmp_path: Path) -> None:
    change = "data.options={count = 2, size = 64, seed = 0}"
    said = done("shard", "synthetic", "--out", tmp_path / "shards", "--set", change, cwd=tmp_path)
    assert len(datasets.load("shards", tmp_path / "shards")) == 2
    assert "--set data.name=shards" in said
