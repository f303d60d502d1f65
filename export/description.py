"""What an exported model says of itself: a JSON file beside the graph, readable without TensorFlow."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keras_unet.models.geometry import Geometry
from keras_unet.utils.atomic_files import write_text

# TensorFlow Serving leaves this folder of a version to its users.
DESCRIPTION_FILE = Path("assets.extra") / "keras_unet.json"


def describe(
    model: Any, serving: Any, class_names: Sequence[str], metadata: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The contents of the description file.

    Args:
        model: The `UNet`.
        serving: How it is served, a `Serving`.
        class_names: A name per label value.
        metadata: The user's own entries.

    Raises:
        ValueError: If `metadata` cannot be written as JSON.
    """
    tiler = serving.tiler
    description = {
        "format": 1,
        "input": {"dtype": serving.input_dtype, "channels": model.channels, "value_range": list(model.value_range)},
        "normalizes_images": model.normalizes_images,
        "num_classes": model.num_classes,
        "class_names": list(class_names),
        "geometry": _geometry(model.geometry),
        "tile": {"height": tiler.tile[0], "width": tiler.tile[1], "batch_size": tiler.batch_size},
        "averaging": serving.averaging,
        "precision": model.get_config()["dtype"],
        "max_pixels": serving.max_pixels,
        "instances": serving.objects and asdict(serving.objects),
        "tiled_equals_one_pass": model.exact_tiling,
        "parameters": model.count_params(),
        "versions": _versions(),
        "metadata": dict(metadata or {}),
    }
    try:
        json.dumps(description, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"Expected metadata that JSON can hold. Received {metadata!r}: {error}.") from None
    return description


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write the description file of a version folder."""
    file = folder / DESCRIPTION_FILE
    file.parent.mkdir(exist_ok=True)
    write_text(file, json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def read_description(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What an exported model says of itself: classes, value range, geometry, tile, versions.

    Args:
        folder: The version folder that `save` returned.

    Raises:
        FileNotFoundError: If the folder holds no description.
        ValueError: If the description is not readable.
    """
    file = Path(folder) / DESCRIPTION_FILE
    if not file.is_file():
        raise FileNotFoundError(f"Expected a version folder with {DESCRIPTION_FILE}. Received {os.fspath(folder)!r}.")
    try:
        description: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"Expected JSON in {str(file)!r}. Received a damaged file: {error}.") from None
    return description


def _versions() -> dict[str, str]:
    # Not by the distributions' metadata: TensorFlow comes as tensorflow, tensorflow-cpu and others.
    import keras
    import tensorflow as tf

    import keras_unet

    return {"keras-unet": keras_unet.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}


def _geometry(geometry: Geometry) -> dict[str, Any]:
    return {
        "depth": geometry.depth,
        "padding": geometry.padding,
        "upsampling": geometry.upsampling,
        "stride": geometry.stride,
        "margin": geometry.margin,
    }
