"""Data sets in TFRecord shards, for data larger than memory: the index is read at once, a sample when it is wanted.

A folder of shards, written by `keras_unet.pipeline.write_shards`, lies on any file system that `tf.io.gfile` opens.
Samples are read by their place in a shard, not in a row: any order of them is at hand, and a run is resumed without
reading up to where it was.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.base import LabelledImages, Sample

INDEX = "index.json"
FORMAT = "keras-unet shards 1"
_COLUMNS = ("shard", "offset", "length", "height", "width", "dtype", "lowest", "highest", "class_counts")
_DIGESTS = ("image_sha256", "labels_sha256")
_KEYS: dict[str, Any] = {
    "kind": str,
    "num_classes": int,
    "class_names": list,
    "ignore_label": int | None,
    "notes": list,
    "channels": int,
    "dtypes": list,
    "w0": int | float,
    "sigma": int | float,
    "shards": list,
    "samples": dict,
}


@dataclass(frozen=True, eq=False)
class Records(Sequence[Sample]):
    """Samples in shards.

    Args:
        paths: The shards.
        names: Of the samples.
        columns: For each sample, arrays of one length: `shard` (number of its shard), `offset` and `length` of its
            record there in bytes, `height`, `width`, `dtype` (number of its pixel type), `lowest` and `highest` pixel
            value, `class_counts` `(samples, classes)` in pixels, `image_sha256` and `labels_sha256`.
        channels: Of every image.
        dtypes: Names of the pixel types that occur. Images are read as the one that holds them all.
        w0: Height of the border terms that were written, 0 for none.
        sigma: Their width in pixels.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]
    columns: dict[str, NDArray[Any]]
    channels: int
    dtypes: tuple[str, ...]
    w0: float
    sigma: float

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Read one sample; of a slice nothing yet.

        Raises:
            ValueError: If its shard is damaged or gone.
        """
        import tensorflow as tf

        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        position = range(len(self))[index]
        try:
            parts = self._parts(tf.constant(position, tf.int64))
            image, labels = (parts[name].numpy() for name in ("image", "labels"))
        except tf.errors.OpError as error:
            path = self.paths[int(self.columns["shard"][position])]
            raise ValueError(f"{path}: Expected the shard that was written. Received: {error.message}.") from None
        return Sample(self.names[position], image, labels)

    def subset(self, indices: Iterable[int]) -> "Records":
        """The samples at these positions, in this order."""
        chosen = list(indices)
        names = tuple(self.names[i] for i in chosen)
        return replace(self, names=names, columns={key: column[chosen] for key, column in self.columns.items()})

    def unreadable_shard(self, offset: int) -> str | None:
        """The shard with a record at this byte that cannot be read, which TensorFlow does not name; None if all can."""
        first, length = self.columns["offset"], self.columns["length"]
        for position in np.flatnonzero((first <= offset) & (offset < first + length)):
            try:
                self[int(position)]
            except ValueError:
                return self.paths[int(self.columns["shard"][position])]
        return None

    def tensors(self, index: Any) -> tuple[Any, Any, Any]:
        """One sample within a graph.

        Args:
            index: Its position, a scalar tensor of int64.

        Returns:
            Image `(height, width, channels)`; class label int32 `(height, width)`, instances being foreground with
            the separation border cut; border term of equation 2, float32 `(height, width)`.
        """
        parts = self._parts(index)
        return parts["image"], parts["label"], parts["border"]

    def _parts(self, index: Any) -> dict[str, Any]:
        import tensorflow as tf

        record = tf.io.parse_single_example(
            self._record(index),
            {name: tf.io.FixedLenFeature([], tf.string) for name in ("image", "label", "labels", "border")},
        )
        size = [tf.constant(self.columns[side], tf.int64)[index] for side in ("height", "width")]

        def plane(name: str, dtype: Any) -> Any:
            return tf.reshape(tf.io.decode_raw(tf.io.decode_compressed(record[name], "ZLIB"), dtype), size)

        label = plane("label", tf.int32)
        pixels = self._pixels(record["image"], tf.constant(self.columns["dtype"], tf.int32)[index])
        same = tf.equal(tf.strings.length(record["labels"]), 0)
        labels = tf.cond(same, lambda: label, lambda: plane("labels", tf.int32))
        image = tf.reshape(pixels, [*size, self.channels])
        return {"image": image, "label": label, "labels": labels, "border": plane("border", tf.float32)}

    def _pixels(self, data: Any, dtype: Any) -> Any:
        import tensorflow as tf

        widest = np.result_type(*self.dtypes).name

        def decode(name: str) -> Any:
            return lambda: tf.cast(tf.io.decode_raw(data, tf.as_dtype(name)), widest)

        return tf.switch_case(dtype, [decode(name) for name in self.dtypes])

    def _record(self, index: Any) -> Any:
        """The record at a place in its shard, its check sum proved. `tf.data.TFRecordDataset` begins at the first."""
        import tensorflow as tf

        column = {name: tf.constant(self.columns[name], tf.int64) for name in ("shard", "offset", "length")}
        kind: dict[str, Any] = {"output_types": [tf.string], "output_shapes": [[]]}
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.constant(self.paths)[column["shard"][index]][None],
            compression_type="",
            buffer_size=column["length"][index],
            byte_offsets=column["offset"][index][None],
        )
        first = tf.raw_ops.TakeDataset(input_dataset=records, count=tf.constant(1, tf.int64), **kind)
        return tf.raw_ops.DatasetToSingleElement(dataset=first, **kind)[0]


@dataclass(frozen=True, eq=False)
class ShardedImages(LabelledImages):
    """A data set whose samples lie in shards. What was checked when they were written is not read to be checked again.

    Args:
        samples: Where they lie.
    """

    samples: Records  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self._check_description()

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.samples.channels

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples."""
        return self.samples.names

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest pixel value over all images."""
        columns = self.samples.columns
        return float(columns["lowest"].min()), float(columns["highest"].max())

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each image."""
        columns = self.samples.columns
        return list(zip(columns["height"].tolist(), columns["width"].tolist(), strict=True))

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Pixels of each class over all images, `(classes,)`; ignored ones are in none."""
        return np.asarray(self.samples.columns["class_counts"].sum(axis=0))

    def fingerprints(self) -> list[dict[str, Any]]:
        """Name, shape, dtype and SHA-256 of the pixels and the labels of each sample, as they were written."""
        records = self.samples
        columns = records.columns
        return [
            {
                "name": name,
                "shape": [int(columns["height"][i]), int(columns["width"][i]), records.channels],
                "dtype": records.dtypes[columns["dtype"][i]],
                "image": str(columns["image_sha256"][i]),
                "labels": str(columns["labels_sha256"][i]),
            }
            for i, name in enumerate(records.names)
        ]

    def _chosen(self, indices: Sequence[int]) -> Records:
        return self.samples.subset(indices)


def read_shards(path: str | os.PathLike[str]) -> ShardedImages:
    """Open a folder of shards.

    Args:
        path: Folder with `index.json`; anything that `tf.io.gfile` opens, such as `gs://bucket/shards`.

    Raises:
        ValueError: It has no index, or one of something else; or a shard is missing or cut short.
    """
    folder = os.fspath(path)
    index = _read_index(folder)
    paths = tuple(os.path.join(folder, name) for name in index["shards"])
    columns = _columns(os.path.join(folder, INDEX), index)
    _check_shards(paths, columns)
    note = f"{len(index['samples']['name'])} labelled images in {len(paths)} shards of {folder}."
    return ShardedImages(
        Records(
            paths,
            tuple(index["samples"]["name"]),
            columns,
            index["channels"],
            tuple(index["dtypes"]),
            index["w0"],
            index["sigma"],
        ),
        index["kind"],
        index["num_classes"],
        tuple(index["class_names"]),
        index["ignore_label"],
        (note, *index["notes"]),
    )


def _read_index(folder: str) -> dict[str, Any]:
    import tensorflow as tf

    path = os.path.join(folder, INDEX)
    try:
        with tf.io.gfile.GFile(path) as file:
            index: Any = json.loads(file.read())
    except tf.errors.OpError as error:
        raise ValueError(
            f"{path}: Expected the index that keras-unet shard writes. Received: {error.message}."
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: Expected the index of a folder of shards. Received: {error}.") from None
    received = index.get("format") if isinstance(index, dict) else None
    if received != FORMAT:
        raise ValueError(f"{path}: Expected an index of format {FORMAT!r}. Received {received!r}.")
    for key, kind in _KEYS.items():
        if key not in index or not isinstance(index[key], kind):
            raise ValueError(f"{path}: Expected {key} as keras-unet shard writes it. Received {_shown(index, key)}.")
    for name in index["shards"]:
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"{path}: Expected names of shards in its folder. Received {name!r}.")
    return dict(index)


def _shown(values: dict[str, Any], key: str) -> str:
    return repr(values[key])[:80] if key in values else "none"


def _columns(path: str, index: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """What the index says of each sample; a number that points nowhere would be found in the middle of a run."""
    samples = index["samples"]
    names = samples.get("name")
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: Expected the name of a sample at least. Received {_shown(samples, 'name')}.")
    columns = {}
    for name in (*_COLUMNS, *_DIGESTS):
        values = samples.get(name)
        try:
            columns[name] = np.asarray(values)
        except ValueError:  # rows of different lengths
            columns[name] = np.empty(0)
        expected = (len(names), index["num_classes"]) if name == "class_counts" else (len(names),)
        kinds = "U" if name in _DIGESTS else "if" if name in ("lowest", "highest") else "i"
        if columns[name].shape != expected or columns[name].dtype.kind not in kinds:
            raise ValueError(
                f"{path}: Expected {name} for each of {len(names)} samples. Received {_shown(samples, name)}."
            )
    for name, known in (("shard", index["shards"]), ("dtype", index["dtypes"])):
        outside = [number for number in columns[name].tolist() if not 0 <= number < len(known)]
        if outside:
            raise ValueError(f"{path}: Expected a {name} from 0 to {len(known) - 1}. Received {outside[0]}.")
    return columns


def _check_shards(paths: Sequence[str], columns: dict[str, NDArray[Any]]) -> None:
    """A shard that is missing or short would be found in the middle of a run."""
    import tensorflow as tf

    ends = columns["offset"] + columns["length"]
    for number, path in enumerate(paths):
        expected = int(ends[columns["shard"] == number].max(initial=0))
        try:
            received = tf.io.gfile.stat(path).length
        except tf.errors.OpError as error:
            raise ValueError(f"{path}: Expected a shard of {expected} bytes. Received: {error.message}.") from None
        if received != expected:
            raise ValueError(f"{path}: Expected a shard of {expected} bytes. Received {received}.")
