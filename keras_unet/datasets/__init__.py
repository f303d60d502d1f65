"""Data sets: labelled images from folders, from stacks, and generated from a seed."""

import difflib
import importlib
import os
from collections.abc import Callable
from typing import Any

from keras_unet.datasets.base import LabelledImages, Sample

__all__ = ["NAMES", "LabelledImages", "Sample", "check_name", "load"]

NAMES = (
    "axondeepseg",
    "cell_tracking",
    "drosophila_vnc",
    "dsb2018",
    "folder",
    "isbi2012",
    "kvasir",
    "retina",
    "shards",
    "synthetic",
)
"""Names that `load` knows."""

_READERS = {
    "axondeepseg": ("keras_unet.datasets.published.axondeepseg", "read_axondeepseg"),
    "cell_tracking": ("keras_unet.datasets.published.cell_tracking", "read_cell_tracking"),
    "drosophila_vnc": ("keras_unet.datasets.published.drosophila_vnc", "read_drosophila_vnc"),
    "dsb2018": ("keras_unet.datasets.published.dsb2018", "read_dsb2018"),
    "folder": ("keras_unet.datasets.folders", "read_folder"),
    "isbi2012": ("keras_unet.datasets.published.isbi2012", "read_isbi2012"),
    "kvasir": ("keras_unet.datasets.published.kvasir", "read_kvasir"),
    "retina": ("keras_unet.datasets.published.retina", "read_retina"),
    "shards": ("keras_unet.datasets.shard_reader", "read_shards"),
}


def load(name: str, path: str | os.PathLike[str] | None = None, **options: Any) -> LabelledImages:
    """Read or generate a data set by its name.

    Args:
        name: One of `NAMES`.
        path: where its files lie; `"synthetic"` has none.
        **options: handed on to the reader: `read_folder`, `read_cell_tracking` … in the module of its name, or
            `synthetic`.

    Returns:
        The labelled images; its `notes` tell how the labels were understood.

    Raises:
        ValueError: unknown name, a path missing or one too many, or data that cannot be used.
        OSError: files that cannot be opened.
    """
    check_name(name, path)
    if name == "synthetic":
        from keras_unet.datasets.synthetic import synthetic

        return synthetic(**options)
    module, function = _READERS[name]
    reader: Callable[..., LabelledImages] = getattr(importlib.import_module(module), function)
    return reader(path, **options)


def check_name(name: str, path: str | os.PathLike[str] | None) -> None:
    """Refuse a name that `load` does not know, or a path that does not go with it; nothing is read.

    Raises:
        ValueError: Naming the nearest, or what is expected of the path.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, n=1, cutoff=0.3)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise ValueError(f"Expected a data set among {', '.join(NAMES)}. Received {name!r}.{hint}")
    if name == "synthetic" and path is not None:
        raise ValueError(f'Expected no path for data set "synthetic": it is generated. Received {str(path)!r}.')
    if name != "synthetic" and path is None:
        raise ValueError(f'Expected a path to the files of data set "{name}" (--data PATH). Received none.')
