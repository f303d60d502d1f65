"""Pictures for people: overlays, heat maps, panels side by side. NumPy and OpenCV, RGB, uint8."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_CAPTION_HEIGHT = 28  # pixels
_GAP = 6  # pixels
_INDENT = 4  # pixels
_FONT = cv2.FONT_HERSHEY_SIMPLEX, 0.5  # of captions, and its size
_COLOURS = 1024
_GOLDEN_ANGLE = 137.508 / 360.0  # turns: consecutive ids get hues far apart


def grey_or_colour(image: NDArray[Any]) -> Picture:
    """A displayable picture of any image.

    Args:
        image: `(height, width, channels)` or `(height, width)`, any real dtype. The range between the 0.2 and the
            99.8 percentile is spread over 0 … 255; three channels are shown as RGB, of others the first.

    Returns:
        `(height, width, 3)`.
    """
    pixels = image[..., None] if image.ndim == 2 else image
    pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1]
    low, high = np.percentile(pixels, (0.2, 99.8))
    spread = np.clip((pixels.astype(np.float32) - low) * (255.0 / max(high - low, 1e-12)), 0, 255).round()
    return np.ascontiguousarray(np.broadcast_to(spread, (*image.shape[:2], 3)).astype(np.uint8))


def colours(count: int) -> Picture:
    """`(count, 3)`: black for 0, then bright colours that differ between neighbouring ids."""
    ids = np.arange(count)
    hsv = np.stack([ids * _GOLDEN_ANGLE % 1.0 * 180, 150 + 35 * (ids % 3), 255 - 40 * (ids // 3 % 2)], axis=-1).astype(
        np.uint8
    )
    table = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    table[:1] = 0
    return np.asarray(table, np.uint8)


def coloured(labels: NDArray[np.integer[Any]]) -> Picture:
    """A colour per class or instance; `(height, width)` integers from 0, which is black. Colours come again in turn."""
    ids = labels.astype(np.intp)
    return np.asarray(colours(_COLOURS)[np.where(ids == 0, 0, (ids - 1) % (_COLOURS - 1) + 1)])


def outlines(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Pixels of an object that touch something else to the right or below, or are touched from there."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return np.asarray(edge & (labels != 0))


def overlay(image: NDArray[Any], labels: NDArray[np.integer[Any]], opacity: float = 0.45) -> Picture:
    """The image with its objects tinted and outlined.

    Args:
        image: `(height, width, channels)`.
        labels: `(height, width)` classes or instance ids; 0 stays untinted.
        opacity: 0 (image alone) to 1 (colour alone).
    """
    base, tint = grey_or_colour(image).astype(np.float32), coloured(labels).astype(np.float32)
    mixed = np.where((labels != 0)[..., None], (1 - opacity) * base + opacity * tint, base)
    return np.where(outlines(labels)[..., None], tint, mixed).astype(np.uint8)


def heat(values: NDArray[Any], low: float = 0.0, high: float | None = None) -> Picture:
    """Values `(height, width)` as colours from dark (`low`) to bright (`high`, the largest value if None)."""
    top = float(values.max(initial=low)) if high is None else high
    scaled = np.clip((values - low) * (255.0 / max(top - low, 1e-12)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), np.uint8)


def side_by_side(panels: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """Panels of one height in a row, each under its caption, on white.

    Raises:
        ValueError: If the panels differ in height or lack a caption.
    """
    heights = {panel.shape[0] for panel in panels}
    if len(heights) != 1 or len(panels) != len(captions):
        raise ValueError(
            f"Expected panels of one height with one caption each. Received heights {sorted(heights)} "
            f"and {len(captions)} captions for {len(panels)} panels."
        )
    height = heights.pop()
    gap = np.full((height + _CAPTION_HEIGHT, _GAP, 3), 255, np.uint8)
    row: list[Picture] = []
    for panel, caption in zip(panels, captions, strict=True):
        row += [gap, _captioned(panel, caption)]
    return np.concatenate(row[1:], axis=1)


def _captioned(panel: Picture, caption: str) -> Picture:
    """The panel under as many words of its caption as fit: a number cut in two would be another number."""
    strip = np.full((_CAPTION_HEIGHT, panel.shape[1], 3), 255, np.uint8)
    words = caption.split()
    while words and _INDENT + cv2.getTextSize(" ".join(words), *_FONT, 1)[0][0] > panel.shape[1]:
        words.pop()
    cv2.putText(strip, " ".join(words), (_INDENT, 19), *_FONT, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([strip, panel])
