"""Writes a U-Net as a SavedModel version that TensorFlow Serving loads."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_unet.tiling import Tiler, tiler_for
from keras_unet.unet import UNet

from .description import describe, write_description
from .proof import largest_difference
from .signatures import INPUT_DTYPES, MAX_CLASSES, module_with_signatures
from .versions import chosen_version, version_folder

_TILE_MEMORY = 1024**3  # the server's memory is not known at export; one tile of the paper's net then has 716 pixels
_TOLERANCE = 1e-4


def save(
    model: UNet,
    path: str | os.PathLike[str],
    version: int | None = None,
    *,
    tile: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    input_dtype: str = "float32",
    class_names: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    verify: bool = True,
) -> Path:
    """Export a U-Net: one folder that segments raw images of any size wherever TensorFlow runs, without Keras.

    Signatures, both for `images` of shape `(batch, height, width, channels)`, raw pixels:

    - `serving_default`: `probabilities`, `(batch, height, width, num_classes)` float32;
    - `classes`: `classes`, `(batch, height, width)` uint8; for `num_classes` 1, class 1 is p > 0.5.

    The version is written to a hidden folder and renamed when it is complete: a failed or killed export leaves earlier
    versions as they were.

    Args:
        model: The trained net.
        path: Folder of all versions of this model: what TensorFlow Serving calls the base path.
        version: Number of this version; by default one more than the largest there is.
        tile: Height and width in pixels of the largest input tile, context included, one number for a square. By
            default as large as 1 GiB of memory permits, at most 1024. Smaller images take smaller tiles.
        batch_size: The most tiles in one call of the net; pays on a GPU.
        input_dtype: Dtype of the raw images: `"float32"`, `"uint8"`, `"uint16"` or `"int16"`.
        class_names: A name per label value, background first (two for `num_classes` 1).
        metadata: The user's own entries of the description file, such as pixel size and training run.
        verify: Whether to load the version, before it gets its number, in a process without Keras and compare it
            with `predict`; takes some seconds.

    Returns:
        The version folder.

    Raises:
        ValueError: If an argument does not fit the model.
        FileExistsError: If the version exists.
        OSError: If the folder cannot be written, or the written model does not give the probabilities of `predict`.
    """
    base = Path(path)
    number = chosen_version(base, version)
    tiler = _tiler(model, tile, batch_size, input_dtype)
    description = describe(model, tiler, input_dtype, _names(model, class_names), metadata)
    module, signatures = module_with_signatures(model, tiler, input_dtype)
    with version_folder(base, number) as folder:
        _write(module, folder, signatures)
        write_description(folder, description)
        if verify:
            _prove(model, folder)
    return base / str(number)


def _tiler(model: UNet, tile: int | tuple[int, int] | None, batch_size: int, input_dtype: str) -> Tiler:
    if not isinstance(model, UNet):
        raise ValueError(f"Expected a keras_unet.UNet. Received a {type(model).__name__}.")
    if model.num_classes > MAX_CLASSES:
        raise ValueError(
            f"Expected at most {MAX_CLASSES} classes (label maps are uint8). Received {model.num_classes}."
        )
    if input_dtype not in INPUT_DTYPES:
        raise ValueError(f"Expected an input dtype among {', '.join(INPUT_DTYPES)}. Received {input_dtype!r}.")
    return tiler_for(model, tile, batch_size, memory=_TILE_MEMORY)


def _names(model: UNet, class_names: Sequence[str] | None) -> tuple[str, ...]:
    count = max(model.num_classes, 2)
    if class_names is None:
        return ("background", "foreground") if count == 2 else tuple(f"class {value}" for value in range(count))
    if len(class_names) != count:
        raise ValueError(f"Expected {count} class names, background first. Received {list(class_names)}.")
    return tuple(class_names)


def _write(module: tf.Module, folder: Path, signatures: Mapping[str, Any]) -> None:
    """The SavedModel; a full disk and the like become an OSError."""
    try:
        tf.saved_model.save(module, str(folder), signatures=dict(signatures))
    except tf.errors.OpError as error:
        raise OSError(f"Expected to write a SavedModel to {str(folder)!r}. Received: {error.message}") from None


def _prove(model: UNet, folder: Path) -> None:
    difference = largest_difference(model, folder)
    if not difference <= _TOLERANCE:
        raise OSError(
            f"Expected the exported model to give the probabilities of predict to {_TOLERANCE:g}. "
            f"Received a difference of {difference:g}."
        )
