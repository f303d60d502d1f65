"""Requests that TensorFlow Serving answers to itself before it lets clients in: no client waits for a first time.

Reference:
    tensorflow_serving/apis/prediction_log.proto; "SavedModel Warmup" in TensorFlow Serving's documentation
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_unet.utils.argument_checks import whole_number

from .serving_protos import PredictionLog, to_proto
from .signatures import Serving

WARM_UP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
_MOST = 1000  # of requests, or the server refuses the model
_MOST_BYTES = 2**31 - 2**20  # of a request: protocol buffers end at 2 GiB


def check_sizes(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Heights and widths as Python's integers.

    Raises:
        ValueError: If they are no pairs of positive whole numbers, or too many.
    """
    try:
        pairs = [(height, width) for height, width in sizes]
    except (TypeError, ValueError):
        raise ValueError(f"Expected pairs of height and width for warm_up. Received {sizes!r}.") from None
    if len(pairs) > _MOST // 4:
        raise ValueError(f"Expected at most {_MOST // 4} sizes to warm up with. Received {len(pairs)}.")
    return [(whole_number(height, "warm_up", 1), whole_number(width, "warm_up", 1)) for height, width in pairs]


def check_request_size(sizes: Sequence[tuple[int, int]], pixel: int, what: str) -> None:
    """Refuse images that no request holds, let alone the memory beside it.

    Args:
        sizes: Heights and widths in pixels.
        pixel: Bytes of a pixel.
        what: What makes the images as large as they are, for the message.

    Raises:
        ValueError: If one has 2 GiB or more.
    """
    for height, width in sizes:
        if height * width * pixel > _MOST_BYTES:
            raise ValueError(
                f"Expected {what} of images below 2 GiB. Received {height} x {width} pixels of {pixel} bytes."
            )


def write_warm_up(
    folder: Path, name: str, sizes: Sequence[tuple[int, int]], channels: int, serving: Serving, names: Collection[str]
) -> None:
    """Write the warm-up requests of a version folder: a black image of each size for each signature.

    Args:
        folder: The version folder.
        name: Of the model.
        sizes: Height and width in pixels of each image.
        channels: Channels of the net.
        serving: How it is served.
        names: Its signatures.
    """
    file = folder / WARM_UP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as records:
        for height, width in sizes:
            raw = np.zeros((1, height, width, channels), serving.input_dtype)
            for signature in ("serving_default", "classes", "instances"):
                if signature in names:
                    records.write(_request(name, signature, "images", raw))
            if "image_bytes" in names and height * width <= serving.max_pixels:
                png = tf.io.encode_png(np.zeros((height, width, channels), np.uint8)).numpy()
                records.write(_request(name, "image_bytes", "image_bytes", np.array([png], object)))


def _request(name: str, signature: str, argument: str, values: Any) -> bytes:
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = name, signature
    request.inputs[argument].CopyFrom(to_proto(values))
    return bytes(log.SerializeToString())
