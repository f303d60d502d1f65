"""The Cell Tracking Challenge in its original layout: gold truth drawn by people, silver truth made by programs.

Gold truth covers few frames, and some of them only in part: a cell without a mask there is not background. Silver
truth covers all frames, but not quite all cells. Cells that a mask leaves out are ignored, not learnt as background.
The challenge gives no list of them: tracking markers, and for gold truth silver truth too, show where they are.

Maška et al. 2023, "The Cell Tracking Challenge: 10 years of objective benchmarking".
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.datasets.lazy_samples import outline, pixel_type_notes
from keras_unet.datasets.published.ctc_files import Frames, find_sequences
from keras_unet.datasets.published.partial_truth import Ids, further_cells
from keras_unet.datasets.published.published_files import existing_folder, read_ids
from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image

Truth = Literal["gold", "silver", "gold_and_silver"]

IGNORED = -1
"""Label of pixels that may belong to a cell which the truth leaves out: no object can have it."""

_TRUTHS: tuple[Truth, ...] = ("gold", "silver", "gold_and_silver")
_EXPECTED = "expected the Cell Tracking Challenge's folders 01 with 01_GT/SEG or 01_ST/SEG, or the same with 02"


def read_cell_tracking(
    path: str | os.PathLike[str],
    *,
    sequences: str | Sequence[str] | None = None,
    truth: Truth = "gold",
    frames: Sequence[int] | None = None,
) -> LabelledImages:
    """Read two-dimensional frames with object ids, in order of sequence and frame number.

    Args:
        path: Folder with `01` (t000.tif …), `01_GT/SEG` (man_seg000.tif …), and where there are such `01_GT/TRA`
            (man_track000.tif …), `01_ST/SEG`, and the same of `02`.
        sequences: `"01"`, or several; by default all that have the truth asked for.
        truth: `"gold"` reads the frames with gold truth; `"silver"` all frames; `"gold_and_silver"` all frames, gold
            truth where there is some. With the latter two, sample `i` of a single whole sequence is frame `i`.
        frames: Numbers of the frames to read of each sequence, such as `[39, 54, 67]`; by default all that have truth.

    Returns:
        Instances, with `ignore_label` -1 if the truth leaves out a cell somewhere. Unlabelled pixels are ignored then
        within 5 pixels of a silver object that gold truth lacks, and about a marker without any object. Of such a cell
        the place alone is known: pixels as far as half the longest side of the frame's largest object may be its own.

    Raises:
        ValueError: Another layout, an option that does not fit, a frame without image or mask, sizes that differ, or
            masks that hold no ids.
        FileNotFoundError: There is no such folder.
    """
    if truth not in _TRUTHS:
        raise ValueError(f"Expected truth among {', '.join(_TRUTHS)}. Received {truth!r}.")
    root = existing_folder(path, _EXPECTED)
    found = find_sequences(root, sequences, truth, _EXPECTED)
    samples: list[Sample] = []
    notes = ["Cell Tracking Challenge: labels are object ids, 0 is background."]
    for sequence in found:
        read = [_frame(sequence, number, truth) for number in sequence.numbers(truth, frames)]
        samples += [frame.sample for frame in read]
        notes += _notes(sequence, truth, read)
    ignored = IGNORED if any((sample.labels == IGNORED).any() for sample in samples) else None
    notes += pixel_type_notes([outline(sample) for sample in samples])
    return LabelledImages(tuple(samples), "instances", 2, ("background", "cell"), ignored, tuple(notes))


@dataclass(frozen=True)
class _Frame:
    """A frame as read.

    Args:
        sample: Image and ids.
        is_gold: Whether its truth is gold.
        is_compared: Whether there is anything to compare its truth with.
        missing: Cells that its truth leaves out.
    """

    sample: Sample
    is_gold: bool
    is_compared: bool
    missing: int


def _frame(sequence: Frames, number: int, truth: Truth) -> _Frame:
    image = sequence.images[number]
    is_gold = truth != "silver" and number in sequence.gold
    ids = read_ids((sequence.gold if is_gold else sequence.silver)[number])
    silver = _compared(sequence.silver.get(number), ids) if is_gold else None
    markers = _compared(sequence.markers.get(number), ids)
    missing, where = further_cells(ids, silver, markers)
    sample = Sample(str(image), read_image(image), np.where(where, np.int32(IGNORED), ids))
    return _Frame(sample, is_gold, silver is not None or markers is not None, missing)


def _compared(path: Path | None, truth: Ids) -> Ids | None:
    """What the truth of a frame is compared with; None where there is no file."""
    if path is None:
        return None
    ids = read_ids(path)
    if ids.shape != truth.shape:
        raise ImageError(f"{path}: expected a mask of {truth.shape} as the frame's truth has. Received {ids.shape}.")
    return ids


def _notes(sequence: Frames, truth: Truth, frames: list[_Frame]) -> list[str]:
    gold = [frame for frame in frames if frame.is_gold]
    counts = (f"{len(gold)} with gold truth", f"{len(frames) - len(gold)} with silver truth")
    shown = {"gold": counts[:1], "silver": counts[1:], "gold_and_silver": counts}[truth]
    notes = [f"Sequence {sequence.name}: {' and '.join(shown)} of {len(sequence.images)} frames."]
    partial = [frame for frame in frames if frame.missing]
    if partial:
        cells = sum(frame.missing for frame in partial)
        listed = _listed([f"{_stem(frame)} ({frame.missing})" for frame in partial])
        notes.append(
            f"Sequence {sequence.name}: the truth leaves out {cells} cells in {len(partial)} frames: {listed}. Pixels "
            f"that may be theirs are ignored ({IGNORED})."
        )
    unknown = [_stem(frame) for frame in gold if not frame.is_compared]
    if unknown:
        notes.append(
            f"Sequence {sequence.name}: neither silver truth nor markers tell whether gold truth leaves out cells in "
            f"{_listed(unknown)}: it is taken as whole."
        )
    return notes


def _stem(frame: _Frame) -> str:
    return Path(frame.sample.name).stem


def _listed(words: list[str]) -> str:
    return ", ".join(words if len(words) <= 10 else [*words[:9], "…"])
