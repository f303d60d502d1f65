"""Writes a U-Net as a SavedModel version that TensorFlow Serving loads."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_unet.inference.forward import check_averaging
from keras_unet.inference.tile_sizes import tile_context
from keras_unet.inference.tiling import Tiler, tiler_for
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.models.unet import UNet
from keras_unet.utils.argument_checks import check_class_names, whole_number

from .description import describe, write_description
from .signatures import INPUT_DTYPES, MAX_CLASSES, Serving, module_with_signatures
from .verification import compared
from .version_folders import chosen_version, version_folder
from .warm_up import check_request_size, check_sizes, write_warm_up

_TILE_MEMORY = 1024**3  # the server's memory is not known at export; one tile of the paper's net then has 716 pixels
_TOLERANCE = 1e-4
_MOST_TILES = 2**30  # pixels of a tile's side, and tiles of a batch: the graph counts in 32 bits
_MOST_PIXELS = 2**63 - 1
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def save(
    model: UNet,
    path: str | os.PathLike[str],
    version: int | None = None,
    *,
    tile: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    input_dtype: str = "float32",
    precision: str | None = None,
    averaging: str = "none",
    max_pixels: int = 2**26,
    warm_up: Sequence[tuple[int, int]] | None = None,
    class_names: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    verify: bool = True,
) -> Path:
    """Export a U-Net: one folder that segments raw images of any size wherever TensorFlow runs, without Keras.

    Signatures for `images` of shape `(batch, height, width, channels)`, raw pixels:

    - `serving_default`: `probabilities`, `(batch, height, width, num_classes)` float32;
    - `classes`: `classes`, `(batch, height, width)` uint8; for `num_classes` 1, class 1 is p > 0.5;
    - `instances`: `instances`, `(batch, height, width)` int32, objects numbered from 1 in reading order, exactly
      those that `keras_unet.instances.InstanceSettings.find` finds in the probabilities; if `metadata` has
      `tuned` or a `threshold`.

    For `image_bytes` of shape `(batch,)`, PNG or JPEG files each of its own size (nets of 1 or 3 channels):

    - `image_bytes`: `label_png_bytes` (8-bit grey, class ids) and `probability_png_bytes` (16-bit grey, foreground;
      65535 is 1), `height` and `width`, all `(batch,)`.

    For `request`, any strings:

    - `description`: the text of the description file for each.

    The version is written to a hidden folder and renamed when it is complete: a failed or killed export leaves earlier
    versions as they were.

    Args:
        model: The trained net.
        path: Folder of all versions of this model: what TensorFlow Serving calls the base path. TensorFlow loads from
            no path with `[` or a backslash in it.
        version: Number of this version; by default one more than the largest there is.
        tile: Height and width in pixels of the largest input tile, context included, one number for a square. By
            default as large as 1 GiB of memory permits, at most 1024, or the training tile where the result depends
            on it. Smaller images take smaller tiles.
        batch_size: The most tiles in one call of the net; pays on a GPU.
        input_dtype: Dtype of the raw images: `"float32"`, `"uint8"`, `"uint16"` or `"int16"`.
        precision: `"float32"` or `"bfloat16"`, in which the layers compute; by default as in training. The
            description states the largest difference to float32.
        averaging: Test-time averaging over `"flips"`, `"rotations"` or all symmetries of the `"square"`, see `predict`;
            `"rotations7"` turns whole images, which no graph of tiles can.
        max_pixels: The most pixels of an encoded image. Its header tells, so a larger one is never decoded.
        warm_up: Heights and widths of images that the server segments, by each signature, before it lets clients in;
            by default one that fills a tile, `()` for none.
        class_names: A name per label value, background first (two for `num_classes` 1).
        metadata: The user's own entries of the description file, such as pixel size and training run. `tuned` is a
            mapping of arguments of `InstanceSettings`, as `keras-unet tune` chooses them; without it `threshold` is
            the foreground probability of an object.
        verify: Whether to load the version, before it gets its number, in a process without Keras and compare it
            with `predict`; takes some seconds. The description tells the outcome under `proof`.

    Returns:
        The version folder.

    Raises:
        ValueError: If an argument does not fit the model.
        FileExistsError: If the version exists.
        OSError: If the folder cannot be written, or the written model does not give the probabilities of `predict`.
    """
    base = Path(path)
    number = chosen_version(base, version)
    served = _at_precision(model, precision)
    tiler = _tiler(served, tile, batch_size, input_dtype)
    objects = _objects(metadata)
    serving = Serving(tiler, input_dtype, check_averaging(averaging), _most_pixels(max_pixels), objects)
    description = describe(served, serving, _names(model, class_names), metadata)
    pixel = model.channels * tf.as_dtype(input_dtype).size
    sizes = [_filling(tiler)] if warm_up is None else check_sizes(warm_up)
    check_request_size(sizes, pixel, "a tile" if warm_up is None else "warm_up")
    check_request_size([_filling(tiler)] if verify else [], pixel, "a tile")
    with version_folder(base, number) as folder:  # made before the long work, which a folder that cannot be would lose
        module, signatures = module_with_signatures(served, serving, description)
        with _naming(folder):
            tf.saved_model.save(module, str(folder), signatures=signatures)
            write_warm_up(folder, base.resolve().name, sizes, model.channels, serving, signatures)
        write_description(folder, description)
        if verify:
            write_description(folder, {**description, "proof": _prove(served, folder)})
    return base / str(number)


def _tiler(model: UNet, tile: int | tuple[int, int] | None, batch_size: int, input_dtype: str) -> Tiler:
    if model.num_classes > MAX_CLASSES:
        raise ValueError(
            f"Expected at most {MAX_CLASSES} classes (label maps are uint8). Received {model.num_classes}."
        )
    if input_dtype not in INPUT_DTYPES:
        raise ValueError(f"Expected an input dtype among {', '.join(INPUT_DTYPES)}. Received {input_dtype!r}.")
    tiler = tiler_for(model, tile, batch_size, memory=_TILE_MEMORY)
    if max(*tiler.tile, tiler.batch_size) > _MOST_TILES:
        raise ValueError(f"Expected a tile and batch_size of at most {_MOST_TILES}. Received {tile} and {batch_size}.")
    return tiler


def _most_pixels(max_pixels: int) -> int:
    number = whole_number(max_pixels, "max_pixels", 1)
    if number > _MOST_PIXELS:
        raise ValueError(f"Expected max_pixels of at most {_MOST_PIXELS}. Received {number}.")
    return number


def _at_precision(model: UNet, precision: str | None) -> UNet:
    """The net with the same weights, its layers computing in `precision`."""
    if not isinstance(model, UNet):
        raise ValueError(f"Expected a keras_unet.UNet. Received a {type(model).__name__}.")
    if precision is None:
        return model
    if precision not in _POLICIES:
        raise ValueError(f"Expected precision {' or '.join(_POLICIES)}. Received {precision!r}.")
    other = UNet.from_config({**model.get_config(), "dtype": _POLICIES[precision]})
    other.set_weights(model.get_weights())
    return other


def _objects(metadata: Mapping[str, Any] | None) -> InstanceSettings | None:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ValueError(f"Expected a mapping for metadata. Received {metadata!r}.")
    entries = dict(metadata or {})
    if entries.get("tuned") is None and entries.get("threshold") is None:
        return None
    threshold = entries.get("threshold", 0.5)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float, np.integer, np.floating)):
        raise ValueError(f"Expected a number for the threshold in metadata. Received {threshold!r}.")
    return InstanceSettings.validated(entries)


def _filling(tiler: Tiler) -> tuple[int, int]:
    """Height and width of an image that fills a tile."""
    context = tile_context(tiler.geometry)
    return tiler.tile[0] - context, tiler.tile[1] - context


def _names(model: UNet, class_names: Sequence[str] | None) -> tuple[str, ...]:
    count = max(model.num_classes, 2)
    if class_names is None:
        return ("background", "foreground") if count == 2 else tuple(f"class {value}" for value in range(count))
    try:
        "".join(names := check_class_names(class_names, count)).encode()
    except UnicodeEncodeError:
        raise ValueError(f"Expected class names that are text. Received {class_names!r}.") from None
    return names


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """A full disk and the like become an OSError that names the folder."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"Expected to write a SavedModel to {str(folder)!r}. Received: {error.message}") from None


def _prove(model: UNet, folder: Path) -> dict[str, Any]:
    """What a process without Keras made of the version."""
    proof = compared(model, folder)
    if not proof["largest_difference"] <= _TOLERANCE:
        raise OSError(
            f"Expected the exported model to give the probabilities of predict to {_TOLERANCE:g}. "
            f"Received a difference of {proof['largest_difference']:g}."
        )
    return proof
