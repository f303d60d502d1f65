"""TFRecord shards: a data set written so that training reads it piece by piece, from any file system.

A folder holds `shard-00000.tfrecord` and so on, and `index.json`, which is written last. A record is a
`tf.train.Example` of four byte strings: `image`, raw pixels; and, packed by zlib, `label` (int32 classes, the
separation border cut), `labels` (int32 as they were given; empty where they are the same) and `border` (float32, the
border term of equation 2, to which class weights are added on reading).
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.datasets.shard_reader import FORMAT, INDEX
from keras_unet.pipeline.examples import classes_and_border

_FRAME = 16  # bytes that TFRecord adds: a length, and two check sums
_PIXEL_TYPES = ("bool", "uint8", "uint16", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def write_shards(
    data: LabelledImages,
    out: str | os.PathLike[str],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    shard_bytes: int = 256 * 2**20,
    overwrite: bool = False,
    progress: Callable[[int], Any] | None = None,
) -> str:
    """Write a data set as shards; one sample is in memory at a time besides what `data` holds.

    Args:
        data: Labelled images; every one is read once. `datasets.load("folder", path, in_memory=False)` holds none.
        out: Folder for the shards, made if need be; anything that `tf.io.gfile` opens.
        w0: Height of the border term of equation 2; 0 leaves it out.
        sigma: Its width in pixels.
        shard_bytes: A shard ends with the sample that reaches this size.
        overwrite: Whether to replace shards that are in the folder. They stay until all of the new ones are written.
        progress: Called with the number of samples written so far.

    Returns:
        Path of the index.

    Raises:
        ValueError: If the folder holds shards and `overwrite` is False, or a number is out of range.
        OSError: If something cannot be written; what was written is removed, what was there before stays.
    """
    if shard_bytes < 1:
        raise ValueError(f"Expected shard_bytes of at least 1. Received {shard_bytes}.")
    folder = os.fspath(out)
    index = os.path.join(folder, INDEX)
    try:
        tf.io.gfile.makedirs(folder)
        before = _shards_in(folder)
        if not overwrite:
            _refuse_shards(folder, before)
        with _Shards(folder, shard_bytes, before) as written:
            for number, sample in enumerate(data, 1):
                written.add(sample, data, w0, sigma)
                if progress is not None:
                    progress(number)
            written.close()
            _write_text(index, json.dumps(_index(data, written, w0, sigma), ensure_ascii=False))
        for name in before:
            tf.io.gfile.remove(os.path.join(folder, name))
    except tf.errors.OpError as error:
        raise OSError(f"{folder}: Expected a folder to write shards to. Received: {error.message}.") from error
    return index


def _shards_in(folder: str) -> list[str]:
    return sorted(name for name in tf.io.gfile.listdir(folder) if _is_shard(name))


def _refuse_shards(folder: str, shards: list[str]) -> None:
    names = [INDEX, *shards] if tf.io.gfile.exists(os.path.join(folder, INDEX)) else shards
    if names:
        raise ValueError(
            f"Expected a folder without shards. {folder!r} holds {names[0]}; choose another, or --overwrite."
        )


def _is_shard(name: str) -> bool:
    return name.startswith("shard-") and name.endswith(".tfrecord")


def _write_text(path: str, text: str) -> None:
    """Write aside and rename, so that the index is whole or absent."""
    aside = f"{path}.partial"
    with tf.io.gfile.GFile(aside, "w") as file:
        file.write(text)
    tf.io.gfile.rename(aside, path, overwrite=True)


class _Shards:
    """Shards being written, and where in them each sample lies. If the block raises, they are removed.

    They take the lowest numbers that those in the folder leave free: until the new index is written, the old one and
    what it names are whole.
    """

    def __init__(self, folder: str, shard_bytes: int, taken: list[str]) -> None:
        self.names: list[str] = []
        self.dtypes: list[str] = []
        self.samples: dict[str, list[Any]] = {}
        self._folder, self._limit = folder, shard_bytes
        numbered = (f"shard-{number:05d}.tfrecord" for number in count())
        self._free_names = (name for name in numbered if name not in taken)
        self._writer: Any = None
        self._offset = 0

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is not None:
            for name in self.names:
                with suppress(tf.errors.OpError):
                    tf.io.gfile.remove(os.path.join(self._folder, name))

    def add(self, sample: Sample, data: LabelledImages, w0: float, sigma: float) -> None:
        """Append a sample."""
        if self._writer is None or self._offset >= self._limit:
            self._begin()
        label, border = classes_and_border(sample, data, w0, sigma)
        image = _storable(sample)
        record = _record(image, label, sample.labels, border)
        self._writer.write(record)
        valid = label if data.ignore_label is None else label[label != data.ignore_label]
        self._note(
            name=sample.name,
            shard=len(self.names) - 1,
            offset=self._offset,
            length=len(record) + _FRAME,
            height=label.shape[0],
            width=label.shape[1],
            dtype=self._dtype(image.dtype.name),
            lowest=float(sample.image.min()),
            highest=float(sample.image.max()),
            image_sha256=hashlib.sha256(image.data).hexdigest(),
            labels_sha256=hashlib.sha256(sample.labels.data).hexdigest(),
            class_counts=np.bincount(valid.ravel(), minlength=data.num_classes).tolist(),
        )
        self._offset += len(record) + _FRAME

    def close(self) -> None:
        """End the shard that is being written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _begin(self) -> None:
        self.close()
        self.names.append(next(self._free_names))
        self._writer = tf.io.TFRecordWriter(os.path.join(self._folder, self.names[-1]))
        self._offset = 0

    def _dtype(self, name: str) -> int:
        if name not in self.dtypes:
            self.dtypes.append(name)
        return self.dtypes.index(name)

    def _note(self, **values: Any) -> None:
        for name, value in values.items():
            self.samples.setdefault(name, []).append(value)


def _storable(sample: Sample) -> NDArray[Any]:
    """The image in a pixel type that TensorFlow can read, no value changed."""
    name = {"uint32": "int64"}.get(sample.image.dtype.name, sample.image.dtype.name)
    if name not in _PIXEL_TYPES:
        raise ValueError(f"{sample.name}: Expected pixels of {', '.join(_PIXEL_TYPES)} or uint32. Received {name}.")
    return np.ascontiguousarray(sample.image, np.dtype(name).newbyteorder("<"))


def _record(image: NDArray[Any], label: NDArray[Any], labels: NDArray[Any], border: NDArray[Any]) -> bytes:
    same = np.array_equal(label, labels)
    parts = {
        "image": image.tobytes(),
        "label": zlib.compress(label.tobytes(), 1),
        "labels": b"" if same else zlib.compress(labels.tobytes(), 1),
        "border": zlib.compress(border.tobytes(), 1),
    }
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[part])) for name, part in parts.items()}
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True))


def _index(data: LabelledImages, written: _Shards, w0: float, sigma: float) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": data.kind,
        "num_classes": data.num_classes,
        "class_names": list(data.class_names),
        "ignore_label": data.ignore_label,
        "notes": list(data.notes),
        "channels": data.channels,
        "dtypes": written.dtypes,
        "w0": w0,
        "sigma": sigma,
        "shards": written.names,
        "samples": written.samples,
    }
