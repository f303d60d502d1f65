"""Data sets by their names."""

import difflib
import importlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_unet.datasets.base import LabelledImages

_READERS = {
    "axondeepseg": "published.axondeepseg.read_axondeepseg",
    "cell_tracking": "published.cell_tracking.read_cell_tracking",
    "drosophila_vnc": "published.drosophila_vnc.read_drosophila_vnc",
    "dsb2018": "published.dsb2018.read_dsb2018",
    "folder": "folders.read_folder",
    "isbi2012": "published.isbi2012.read_isbi2012",
    "kvasir": "published.kvasir.read_kvasir",
    "retina": "published.retina.read_retina",
    "shards": "shard_reader.read_shards",
    "synthetic": "synthetic_cells.synthetic",
}

NAMES = tuple(_READERS)
"""Names that `load` knows."""


def load(name: str, path: str | os.PathLike[str] | None = None, **options: Any) -> "LabelledImages":
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
    module, _, function = _READERS[name].rpartition(".")
    reader: Callable[..., LabelledImages] = getattr(importlib.import_module(f"keras_unet.datasets.{module}"), function)
    return reader(**options) if path is None else reader(path, **options)


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
