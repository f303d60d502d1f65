"""The two forms that pixels travel in: PNG files, which are small, and raw tensors for what PNG does not hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import ServerError

Tensors = Mapping[str, NDArray[Any]]

# JSON is laid out with a line for each number: indentation, digits, comma; and two for the brackets of a pixel.
_JSON_BYTES_PER_VALUE = 40

_USUAL_BYTES = 4 * 1024**2  # what gRPC libraries receive unless told otherwise
# For one channel and two classes 0.4 megapixels, as many as 4 MiB hold in the other forms to within a factor of two
# or three; and nine times the smallest piece of the paper's net. JSON is not gRPC's: nobody stops it at 4 MiB.
_USUAL_BYTES_OF_RAW_JSON = 64 * 1024**2


@dataclass(frozen=True)
class Segmentation:
    """A segmented image.

    Attributes:
        classes: `(height, width)` uint8, the most probable class of each pixel.
        foreground: `(height, width)` float32, the probability of anything but background. In steps of 1/65535 if the
            image travelled as PNG.
    """

    classes: NDArray[np.uint8]
    foreground: NDArray[np.float32]


class PngFormat:
    """Images as PNG to the signature `image_bytes`, which answers in PNG too."""

    signature: ClassVar = "image_bytes"
    outputs: ClassVar = ("label_png_bytes", "probability_png_bytes")

    @staticmethod
    def holds(pixels: NDArray[Any]) -> bool:
        """Whether PNG keeps these pixels as they are."""
        return pixels.dtype in (np.uint8, np.uint16) and pixels.shape[-1] in (1, 3)

    @staticmethod
    def bytes_per_pixel(pixels: NDArray[Any], num_classes: int, json: bool) -> float:
        """The most bytes that a pixel takes in a request or an answer: 8-bit labels and 16-bit probabilities."""
        # PNG adds to what does not compress.
        largest: float = max(pixels.dtype.itemsize * pixels.shape[-1], 1 + 2) / 0.9
        return largest * 4 / 3 if json else largest

    @staticmethod
    def usual_message_bytes(json: bool) -> int:
        """The longest request or answer unless told otherwise, in bytes."""
        return _USUAL_BYTES

    @staticmethod
    def request(pixels: NDArray[Any]) -> Tensors:
        """The input of the signature for one image `(height, width, channels)`."""
        ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[-1] == 3 else pixels
        _, png = cv2.imencode(".png", ordered, (cv2.IMWRITE_PNG_COMPRESSION, 1))
        return {"image_bytes": np.array([png.tobytes()], object)}

    @classmethod
    def result(cls, answer: Tensors) -> Segmentation:
        """The segmentation in an answer.

        Raises:
            ServerError: If it holds none.
        """
        of_labels, of_probability = cls.outputs
        labels = cls._decoded(of_labels, answer[of_labels], np.uint8)
        probability = cls._decoded(of_probability, answer[of_probability], np.uint16)
        return Segmentation(labels, (probability / 65535).astype(np.float32))

    @staticmethod
    def _decoded(name: str, files: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
        data = np.frombuffer(files[0] if files.shape == (1,) and files.dtype == object else b"", np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if picture is None or picture.ndim != 2 or picture.dtype != kind:
            raise ServerError(f"Expected one grey {kind.__name__} PNG in {name}. Received something else.")
        return np.asarray(picture)


class RawFormat:
    """Pixels as they are to the signature `serving_default`, which answers in probabilities per class."""

    signature: ClassVar = "serving_default"
    outputs: ClassVar = ("probabilities",)

    @staticmethod
    def bytes_per_pixel(pixels: NDArray[Any], num_classes: int, json: bool) -> float:
        """The most bytes that a pixel takes in a request or an answer."""
        channels: int = pixels.shape[-1]
        if json:
            return _JSON_BYTES_PER_VALUE * (max(channels, num_classes) + 2)
        return max(pixels.dtype.itemsize * channels, 4 * num_classes)

    @staticmethod
    def usual_message_bytes(json: bool) -> int:
        """The longest request or answer unless told otherwise, in bytes."""
        return _USUAL_BYTES_OF_RAW_JSON if json else _USUAL_BYTES

    @staticmethod
    def request(pixels: NDArray[Any]) -> Tensors:
        """The input of the signature for one image `(height, width, channels)`."""
        return {"images": pixels[None]}

    @staticmethod
    def result(answer: Tensors) -> Segmentation:
        """The segmentation in an answer.

        Raises:
            ServerError: If it holds none.
        """
        probabilities = answer["probabilities"]
        if probabilities.dtype.kind not in "iuf" or probabilities.ndim != 4 or len(probabilities) != 1:
            raise ServerError(f"Expected probabilities of one image. Received shape {probabilities.shape}.")
        probabilities = probabilities.astype(np.float32, copy=False)
        if probabilities.size == 0 or not np.isfinite(probabilities).all():
            raise ServerError("Expected finite probabilities. Received none, or NaN or infinity.")
        if probabilities.shape[-1] == 1:
            foreground = probabilities[0, ..., 0]
            return Segmentation((foreground > 0.5).astype(np.uint8), foreground)
        foreground = np.clip(1.0 - probabilities[0, ..., 0], 0.0, 1.0)
        return Segmentation(probabilities[0].argmax(axis=-1).astype(np.uint8), foreground)


def fitting_pixels(image: NDArray[Any], description: Mapping[str, Any]) -> NDArray[Any]:
    """An image as `(height, width, channels)` in a dtype that the model takes or, for PNG, that means the same.

    Args:
        image: `(height, width)` or `(height, width, channels)`, real numbers.
        description: What the exported model says of itself.

    Raises:
        ValueError: If rank, channels, dtype, size or values do not fit the model.
    """
    channels, dtype = description["input"]["channels"], np.dtype(description["input"]["dtype"])
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[-1] != channels or pixels.size == 0:
        raise ValueError(
            f"Expected an image of shape (height, width, {channels}) with at least one pixel. "
            f"Received shape {image.shape}."
        )
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)  # TIFF files come in both byte orders
    if not (np.can_cast(pixels.dtype, dtype) or (dtype.kind == "f" and pixels.dtype.kind in "uif")):
        raise ValueError(f"Expected {dtype.name} pixels as chosen at export. Received {pixels.dtype}.")
    with np.errstate(over="ignore"):
        finite = pixels.dtype.kind != "f" or bool(np.isfinite(pixels.astype(np.float32)).all())
    if not finite:
        raise ValueError("Expected finite pixel values that float32 holds. Received NaN, infinity or larger ones.")
    if dtype != np.int16 and PngFormat.holds(pixels):
        return pixels
    return pixels.astype(dtype, copy=False)
