"""The two forms that pixels travel in: PNG files, which are small, and raw tensors for what PNG does not hold."""

import struct
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

_PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0dIHDR"  # how a PNG file begins; width and height follow
_ROUNDING = 0.01  # of a probability; bfloat16 has steps of 1/256 below 1

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
    def result(cls, answer: Tensors, size: tuple[int, int], num_classes: int) -> Segmentation:
        """The segmentation in an answer.

        Args:
            answer: Outputs of the signature.
            size: Height and width of the image that was sent, in pixels.
            num_classes: Of the model.

        Raises:
            ServerError: If it holds none, or one of another size or with other classes.
        """
        of_labels, of_probability = cls.outputs
        labels = _decoded(of_labels, answer[of_labels], np.uint8, size)
        probability = _decoded(of_probability, answer[of_probability], np.uint16, size)
        last = max(num_classes, 2) - 1  # one class is told from background
        if labels.max() > last:
            raise ServerError(f"Expected classes up to {last}. Received {labels.max()}.")
        return Segmentation(labels, (probability / 65535).astype(np.float32))


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
    def result(answer: Tensors, size: tuple[int, int], num_classes: int) -> Segmentation:
        """The segmentation in an answer.

        Args:
            answer: Outputs of the signature.
            size: Height and width of the image that was sent, in pixels.
            num_classes: Of the model.

        Raises:
            ServerError: If it holds none, or one of another size or with other classes.
        """
        probabilities = _probabilities(answer["probabilities"], (1, *size, num_classes))[0]
        if num_classes == 1:
            foreground = np.clip(probabilities[..., 0], 0.0, 1.0)
            return Segmentation((foreground > 0.5).astype(np.uint8), foreground)
        foreground = np.clip(1.0 - probabilities[..., 0], 0.0, 1.0)
        return Segmentation(probabilities.argmax(axis=-1).astype(np.uint8), foreground)


FORMATS: dict[str, type[PngFormat | RawFormat]] = {form.signature: form for form in (PngFormat, RawFormat)}


def _decoded(name: str, files: NDArray[Any], kind: type[np.generic], size: tuple[int, int]) -> NDArray[Any]:
    """The picture in an output that holds one PNG file."""
    wrong = ServerError(f"Expected one grey {kind.__name__} PNG in {name}. Received something else.")
    file = files[0] if files.shape == (1,) and isinstance(files[0], bytes) else b""
    if not file.startswith(_PNG) or len(file) < len(_PNG) + 8:
        raise wrong
    width, height = struct.unpack_from(">II", file, len(_PNG))
    if (height, width) != size:  # before it is decoded: a few bytes may declare gigapixels
        raise ServerError(f"Expected an answer of {size} pixels. Received {(height, width)} in {name}.")
    try:
        picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        raise wrong from None
    if picture is None or picture.shape != size or picture.dtype != kind:
        raise wrong
    return np.asarray(picture)


def _probabilities(answer: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if answer.dtype.kind not in "iuf":
        raise ServerError(f"Expected probabilities in numbers. Received values of dtype {answer.dtype}.")
    if answer.shape != shape:
        raise ServerError(f"Expected probabilities of shape {shape}. Received shape {answer.shape}.")
    if not np.isfinite(answer).all():
        raise ServerError("Expected finite probabilities. Received NaN or infinity.")
    low, high = answer.min(), answer.max()
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ServerError(f"Expected probabilities from 0 to 1. Received {low:g} to {high:g}.")
    return answer.astype(np.float32, copy=False)


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
