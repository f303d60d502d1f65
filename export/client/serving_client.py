"""Segments images on a server that runs an exported U-Net."""

import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.preprocessing.image_statistics import BY_STATISTICS, Statistics, pixel_statistics
from keras_unet.utils.argument_checks import whole_number

from .. import image_splitting
from .descriptions import read_description
from .errors import RefusedError, ServerError
from .formats import FORMATS, PngFormat, RawFormat, Segmentation, fitting_pixels
from .grpc_channel import GrpcChannel
from .parallel import ordered_map, with_retries
from .rest import RestChannel
from .server_addresses import read_address

Image = NDArray[Any] | str | os.PathLike[str]
Channel = RestChannel | GrpcChannel

_LONGEST = 86_400.0  # seconds that a time-out may be
_MOST_BYTES = 2**31 - 1  # of a gRPC message, and of what the server takes
_LAST_VERSION = 2**63 - 1  # versions travel in 64 bits
_OVERHEAD = 4096  # bytes of a message besides the pixels


class Client:
    """A U-Net on a server. Safe to use from several threads; close it, or use it in a `with` block.

    Images go as PNG if PNG holds them (uint8 and uint16, one or three channels), as raw pixels otherwise. What would
    make a message longer than `max_message_bytes` is sent in pieces that overlap by what the net sees, so the joined
    answer equals that to the whole image, as far as the export is `tiled_equals_one_pass`.

    Args:
        url: `http://host:8501` or `https://…` for REST, `grpc://host:8500` or `grpcs://…` for gRPC; no
            user and password in it, which go into `headers`.
        model: Name of the model on the server.
        version: A version number, or a label such as `"stable"`; None for the server's newest. Give one where several
            images have to be segmented by the same version.
        signature: `"image_bytes"` (PNG) or `"serving_default"` (raw pixels, full precision); None to choose by image.
        timeout: Seconds within which an answer has to be complete.
        retries: Further attempts after errors that may pass: no connection, no answer in time, a busy server.
        concurrency: The most requests at a time.
        max_message_bytes: The longest request or answer, up to 2 GiB - 1. None for 4 MiB, as gRPC libraries refuse more
            unless told otherwise; for raw pixels over REST, which has no such limit, 64 MiB: JSON takes so much more
            for a pixel. Of an answer 4 MiB are always read, and over REST twice the limit, for the lay-out of JSON.
        headers: Sent with every request, such as `{"Authorization": "Bearer …"}`. No redirection is followed, so they
            go to no other server.

    Raises:
        ValueError: If an argument is illegal.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: int | str | None = None,
        signature: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        concurrency: int = 4,
        max_message_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if signature is not None and signature not in FORMATS:
            raise ValueError(f"Expected a signature among {', '.join(FORMATS)}. Received {signature!r}.")
        if max_message_bytes is not None and not 1 <= max_message_bytes <= _MOST_BYTES:
            raise ValueError(
                f"Expected max_message_bytes from 1 to {_MOST_BYTES}, or None. Received {max_message_bytes}."
            )
        if not 0 < timeout <= _LONGEST or retries < 0 or concurrency < 1:
            raise ValueError(
                f"Expected a timeout above 0 and up to {_LONGEST:g} s, retries from 0 and a concurrency from 1. "
                f"Received {timeout}, {retries} and {concurrency}."
            )
        _check_name("model", model)
        _check_headers(headers or {})
        self._channel = _channel(url, model, _legal_version(version), timeout, headers or {}, max_message_bytes)
        self._signature, self._retries = signature, retries
        self._max_message_bytes = max_message_bytes
        self.concurrency = concurrency
        self._requests = ThreadPoolExecutor(concurrency)
        self._lock = threading.Lock()
        self._description: dict[str, Any] | None = None

    def segment(self, image: Image) -> Segmentation:
        """Classes and foreground probability of every pixel of an image of any size.

        Args:
            image: `(height, width)` for one channel or `(height, width, channels)`, raw pixels; or an image file in any
                format that `keras_unet.image_io` reads.

        Raises:
            ValueError: If the image does not fit the model, or the server refuses it.
            ServerError: If the server cannot be reached, has no such model or fails.
        """
        description = self.description()
        array = image_io.read_image(image) if isinstance(image, str | os.PathLike) else np.asarray(image)
        pixels = fitting_pixels(array, description)
        form = self._format(pixels)
        if form is RawFormat:
            pixels = self._raw(pixels, description["input"]["dtype"])
        result = Segmentation(np.empty(pixels.shape[:2], np.uint8), np.empty(pixels.shape[:2], np.float32))
        parts = self._pieces(pixels, form, description)
        # The server takes what it is sent for a whole image.
        by_image = description.get("normalizes_images", False) and len(parts) > 1
        statistics = pixel_statistics(pixels) if by_image else None
        segment = partial(self._segment_piece, form, description["num_classes"], statistics)
        futures = [self._requests.submit(segment, pixels[part.sent]) for part in parts]
        try:
            for part, future in zip(parts, futures, strict=True):
                answer = future.result()
                result.classes[part.kept] = answer.classes[part.answer]
                result.foreground[part.kept] = answer.foreground[part.answer]
        finally:
            for future in futures:
                future.cancel()
        return result

    def segment_all(self, images: Iterable[Image]) -> Iterator[Segmentation]:
        """Segment images, several at a time, in their order; `images` is read only a little ahead."""
        return ordered_map(self.segment, images, self.concurrency)

    def description(self) -> dict[str, Any]:
        """What the exported model says of itself: classes, input, geometry, tile, versions, metadata; asked once.

        Raises:
            ServerError: If the server cannot be reached, has no such model, or one that does not describe itself.
        """
        with self._lock:
            if self._description is None:
                self._description = self._ask()
            return self._description

    def versions(self) -> dict[int, str]:
        """Version numbers of the model on the server, and their states: `"AVAILABLE"` is ready.

        Raises:
            ServerError: If the server cannot be reached or has no such model.
        """
        return with_retries(self._channel.versions, self._retries)

    def close(self) -> None:
        """Close the connection."""
        self._requests.shutdown(cancel_futures=True)
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self) -> dict[str, Any]:
        request = {"request": np.array([b"description"], object)}
        ask = partial(self._channel.predict, "description", request, ["description"])
        try:
            answer = with_retries(ask, self._retries)
        except RefusedError as error:
            raise ServerError(
                f"Expected a model exported by keras_unet. Received one without description: {error}"
            ) from None
        return read_description(answer["description"])

    def _format(self, pixels: NDArray[Any]) -> type[PngFormat | RawFormat]:
        if self._signature is None:
            return PngFormat if PngFormat.holds(pixels) else RawFormat
        form = FORMATS[self._signature]
        if form is PngFormat and not PngFormat.holds(pixels):
            raise ValueError(
                "Expected uint8 or uint16 pixels with 1 or 3 channels for image_bytes. "
                f"Received {pixels.dtype} of shape {pixels.shape}."
            )
        return form

    def _raw(self, pixels: NDArray[Any], dtype: str) -> NDArray[Any]:
        if dtype not in self._channel.raw_dtypes:
            raise ValueError(
                f"Expected a gRPC address for raw {dtype} pixels, which TensorFlow Serving does not read from JSON. "
                "Received a REST address."
            )
        return pixels.astype(dtype, copy=False)

    def _pieces(
        self, pixels: NDArray[Any], form: type[PngFormat | RawFormat], description: Mapping[str, Any]
    ) -> list[image_splitting.Piece]:
        per_pixel = form.bytes_per_pixel(pixels, description["num_classes"], self._channel.json)
        limit = self._max_message_bytes or form.usual_message_bytes(self._channel.json)
        height, width, _ = pixels.shape
        stride, context = image_splitting.stride_and_context(description)
        fewest = image_splitting.fewest_pixels(height, width, stride, context)
        most = math.floor((limit - _OVERHEAD) / per_pixel)
        if most < fewest:
            raise ValueError(
                f"Expected max_message_bytes of at least {math.ceil(fewest * per_pixel) + _OVERHEAD} for this model, "
                f"or uint8 or uint16 pixels, or a grpc:// address. Received {limit}."
            )
        if form is PngFormat:  # an encoded image may be refused by its size alone
            most = min(most, max(fewest, description["max_pixels"]))
        return image_splitting.plan(height, width, stride, context, most)

    def _segment_piece(
        self,
        form: type[PngFormat | RawFormat],
        num_classes: int,
        statistics: Statistics | None,
        pixels: NDArray[Any],
    ) -> Segmentation:
        signature, request = form.signature, form.request(pixels)
        if statistics is not None:
            signature, request = signature + BY_STATISTICS, {**request, "statistics": statistics[None]}
        ask = partial(self._channel.predict, signature, request, form.outputs)
        height, width, _ = pixels.shape
        return form.result(with_retries(ask, self._retries), (height, width), num_classes)


def _check_name(kind: str, name: str) -> None:
    try:
        legal = bool(name.encode())
    except UnicodeEncodeError:  # half a pair of UTF-16
        legal = False
    if not legal:
        raise ValueError(f"Expected a {kind} of at least one character of Unicode. Received {name!r}.")


def _legal_version(version: int | str | None) -> int | str | None:
    if version is None:
        return None
    if isinstance(version, str):
        _check_name("label of a version", version)
        return version
    number = whole_number(version, "version", 0)
    if number > _LAST_VERSION:
        raise ValueError(f"Expected a version up to {_LAST_VERSION}. Received a larger one.")
    return number


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(f"Expected the name of a header of letters, digits and hyphens. Received {name!r}.")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"Expected a header {name} of printable ASCII characters. Received others.")


def _channel(
    url: str,
    model: str,
    version: int | str | None,
    timeout: float,
    headers: Mapping[str, str],
    max_message_bytes: int | None,
) -> Channel:
    protocol, place = read_address(url)
    if protocol in ("http", "https"):
        return RestChannel(place, model, version, timeout, headers, max_message_bytes)
    return GrpcChannel(place, model, version, timeout, headers, protocol == "grpcs", max_message_bytes)
