"""`keras-unet shard`: the images of a configuration as TFRecord shards, which training reads piece by piece."""

import os
import shlex
from typing import Any

from tqdm import tqdm

from keras_unet.pipeline.shard_writer import write_shards
from keras_unet.training import Config
from keras_unet.training.config import Data
from keras_unet.training.data_split import load_data


def shard(config: Config, out: str, *, shard_megabytes: int = 256, overwrite: bool = False) -> str:
    """Write all samples that `config.data` names, with the border term of `config.loss`.

    Folders are read file by file; other data sets are in memory as a whole.

    Args:
        config: What `load_config` returned.
        out: Folder for the shards; anything that `tf.io.gfile` opens.
        shard_megabytes: A shard ends with the sample that reaches this size, in 2^20 bytes.
        overwrite: Whether to replace shards that are in the folder, once the new ones are written.

    Returns:
        Path of the index.

    Raises:
        ValueError: If the data cannot be used, or the folder holds shards already or is the one they are read from.
        OSError: If something cannot be read or written.
    """
    if config.data.name == "shards" and _place(out) == _place(config.data.path or ""):
        raise ValueError(f"Expected another folder than the shards are read from. Received --out {out!r}.")
    data = load_data(_not_in_memory(config.data))
    for note in data.notes:
        print(note)
    with tqdm(total=len(data), unit="image", desc="writing", disable=None) as bar:
        return write_shards(
            data,
            out,
            w0=config.loss.w0,
            sigma=config.loss.sigma,
            shard_bytes=shard_megabytes * 2**20,
            overwrite=overwrite,
            progress=lambda count: bar.update(count - bar.n),
        )


def _place(path: str) -> str:
    """Two paths of one folder become one; links of remote file systems are not known."""
    return path.rstrip("/") if "://" in path else os.path.realpath(os.path.expanduser(path))


def _not_in_memory(settings: Data) -> Data:
    if settings.name != "folder":
        return settings
    return settings.model_copy(update={"options": {"in_memory": False, **settings.options}})


def training_command(source: str, config: Config, out: str) -> str:
    """The command that trains on the shards as `source` does on the files."""
    changes: list[Any] = ["data.name=shards", f"data.path={out}", *(["data.options={}"] if config.data.options else [])]
    return shlex.join(["keras-unet", "train", source, *(part for key in changes for part in ("--set", key))])
