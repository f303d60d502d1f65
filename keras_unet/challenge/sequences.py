"""SEG and DET of a sequence in the Cell Tracking Challenge's folders.

A data set holds, for sequence 01, the reference in `01_GT/SEG/man_seg000.tif` (whole cells of annotated frames) and
`01_GT/TRA/man_track000.tif` (markers), and the result in `01_RES/mask000.tif`; frames have three or more digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from keras_unet.challenge.det import det_of_pairs
from keras_unet.challenge.seg import FramePair, seg_of_pairs
from keras_unet.image_io.image_files import list_images, read_labels


def seg_of_sequence(
    dataset: str | PathLike[str], sequence: str = "01", result: str | PathLike[str] | None = None
) -> float:
    """SEG of a sequence, see `seg_measure`; result masks of frames without annotation do not count.

    Args:
        dataset: folder that holds `<sequence>_GT` and `<sequence>_RES`.
        sequence: number of the sequence as the folders have it.
        result: folder of the result's masks, if not `<sequence>_RES`.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        FileNotFoundError: there is no such folder, no `man_seg*.tif` in it, or no mask for one of them.
        ImageError: a file is no label image, or holds a stack: three-dimensional data are not measured here.
        ValueError: a mask differs in size from its reference, or no frame has a reference object.
    """
    return seg_of_pairs(read_sequence(dataset, sequence, "SEG/man_seg", result))


def det_of_sequence(
    dataset: str | PathLike[str],
    sequence: str = "01",
    result: str | PathLike[str] | None = None,
    *,
    penalise_extras: bool = True,
) -> float:
    """DET of a sequence, see `det_measure`.

    Args:
        dataset: as for `seg_of_sequence`.
        sequence: as for `seg_of_sequence`.
        result: as for `seg_of_sequence`.
        penalise_extras: whether result objects without a marker cost anything.

    Returns:
        A number in [0, 1], 1 is best.

    Raises:
        FileNotFoundError: there is no such folder, no `man_track*.tif` in it, or no mask for one of them.
        ImageError: as for `seg_of_sequence`.
        ValueError: a mask differs in size from its reference, or no frame has a marker.
    """
    return det_of_pairs(read_sequence(dataset, sequence, "TRA/man_track", result), penalise_extras)


def read_sequence(
    dataset: str | PathLike[str],
    sequence: str,
    reference: str = "SEG/man_seg",
    result: str | PathLike[str] | None = None,
) -> Iterator[FramePair]:
    """Labels of each reference frame and its result, read one frame at a time.

    Args:
        dataset: as for `seg_of_sequence`.
        sequence: as for `seg_of_sequence`.
        reference: where below `<sequence>_GT` the reference lies and how its files' names begin.
        result: as for `seg_of_sequence`.

    Yields:
        (height, width) integers of the reference and of the result, in the order of the frames.

    Raises:
        FileNotFoundError, ImageError, ValueError: as for `seg_of_sequence`.
    """
    folder, prefix = (Path(dataset) / f"{sequence}_GT" / reference).parent, Path(reference).name
    masks = Path(dataset) / f"{sequence}_RES" if result is None else Path(result)
    for file, frame in _reference_files(folder, prefix):
        yield _read_pair(file, _mask_of(frame, masks, file))


def _reference_files(folder: Path, prefix: str) -> list[tuple[Path, str]]:
    """Files of the reference with the digits of their frames."""
    named = [(path, re.fullmatch(rf"{prefix}_?(\d+)(_\d+)?\.tif", path.name)) for path in list_images(folder)]
    files = [(path, match) for path, match in named if match]
    if not files:
        raise FileNotFoundError(f"{folder}: expected files such as {prefix}000.tif. Received none.")
    for path, match in files:
        if match[2]:
            raise ValueError(f"{path}: expected one file per frame. Received a single plane of a volume.")
    return [(path, match[1]) for path, match in files]


def _mask_of(frame: str, masks: Path, reference: Path) -> Path:
    if not masks.is_dir():
        raise FileNotFoundError(f"{masks}: expected a folder of mask{frame}.tif and others. Received no such folder.")
    mask = masks / f"mask{frame}.tif"
    if not mask.is_file():
        raise FileNotFoundError(f"{mask}: expected a mask for {reference.name}. Received no such file.")
    return mask


def _read_pair(reference: Path, mask: Path) -> FramePair:
    expected, found = read_labels(reference), read_labels(mask)
    if expected.shape != found.shape:
        raise ValueError(f"{mask}: expected the size of {reference.name}, {expected.shape}. Received {found.shape}.")
    return expected, found
