"""`keras-unet find-lr`: the learning rate range test, as a suggestion, a table and a picture."""

import csv
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.training import Config
from keras_unet.training.lr_finder import RangeTest, find_learning_rate
from keras_unet.utils.atomic_files import written_aside

TABLE, PICTURE = "learning-rates.csv", "learning-rates.png"

_HEIGHT, _WIDTH, _MARGIN = 480, 800, 60  # pixels
_BLACK, _GREY, _PALE, _BLUE, _RED = (0, 0, 0), (120, 120, 120), (215, 215, 215), (30, 80, 200), (200, 40, 40)
_HEADROOM = 1.5  # times the first smoothed loss: what lies higher is cut off


def find_lr(config: Config, out: Path, *, lowest: float, highest: float, steps: int) -> None:
    """Run the test, write `learning-rates.csv` and `.png`, and print the suggestion.

    Args:
        config: The configuration to find a rate for.
        out: Folder for table and picture, made if need be.
        lowest: Rate of the first step.
        highest: Rate after the last step.
        steps: Updates from the one to the other.

    Raises:
        ConfigError: If the configuration or the range cannot be used.
        ValueError: If the data cannot be used, the loss breaks at once, or `out` is a file.
        OSError: If files cannot be read or written.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"Expected a folder for table and picture. Received {str(out)!r}, which is a file.")
    found = find_learning_rate(config, lowest=lowest, highest=highest, steps=steps)
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / TABLE, found)
    image_io.write_image(out / PICTURE, draw(found))
    print(f"Lowest smoothed loss at learning rate {found.rates[found.lowest]:.1e}. {found.caution}".rstrip())
    print(f"Suggestion, a decade below: --set optimizer.learning_rate={found.suggestion:.1e}")
    print(f"Table and picture: {out / TABLE}, {out / PICTURE}")


def write_table(path: Path, found: RangeTest) -> None:
    """A line for each step: `step`, `learning_rate`, `loss`, `smoothed_loss`."""
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "learning_rate", "loss", "smoothed_loss"))
        for step, values in enumerate(zip(found.rates, found.losses, found.smoothed, strict=True)):
            writer.writerow((step, *(f"{value:.6g}" for value in values)))


def draw(found: RangeTest) -> NDArray[np.uint8]:
    """Loss over learning rate, `(480, 800, 3)` RGB: measured grey, smoothed blue, the suggestion red."""
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    exponents = np.log10(found.rates).round(3)  # 1e-6 in float32 is a little less
    left, right = math.floor(exponents[0]), max(math.ceil(exponents[-1]), math.floor(exponents[0]) + 1)
    low, high = float(found.smoothed.min()), _HEADROOM * float(found.smoothed[0])
    low, high = min(low, float(found.losses.min())), max(high, low + 1e-12)
    across = _MARGIN + (exponents - left) / (right - left) * (_WIDTH - 2 * _MARGIN)
    for exponent in range(left, right + 1):
        _mark(picture, (exponent - left) / (right - left), f"1e{exponent}", _PALE)
    for losses, colour, width in ((found.losses, _GREY, 1), (found.smoothed, _BLUE, 2)):
        down = _MARGIN + (1 - np.clip((losses - low) / (high - low), 0, 1)) * (_HEIGHT - 2 * _MARGIN)
        points = np.stack([across, down], axis=-1).round().astype(np.int32)
        cv2.polylines(picture, [points], False, colour, width, cv2.LINE_AA)
    place = (math.log10(found.suggestion) - left) / (right - left)
    _mark(picture, place, f"suggestion {found.suggestion:.1e}", _RED, top=True)
    _write(picture, f"{high:.3g}", (6, _MARGIN + 5), _BLACK)
    _write(picture, f"{low:.3g}", (6, _HEIGHT - _MARGIN + 5), _BLACK)
    _write(picture, "loss (grey measured, blue smoothed) over learning rate", (_MARGIN, _HEIGHT - 12), _BLACK)
    return picture


def _mark(picture: NDArray[np.uint8], place: float, text: str, colour: tuple[int, int, int], top: bool = False) -> None:
    """A vertical line with a text under it, or above."""
    x = round(_MARGIN + place * (_WIDTH - 2 * _MARGIN))
    cv2.line(picture, (x, _MARGIN), (x, _HEIGHT - _MARGIN), colour, 1)
    _write(
        picture, text, (x - 5 * len(text), _MARGIN - 10 if top else _HEIGHT - _MARGIN + 20), colour if top else _BLACK
    )


def _write(picture: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
