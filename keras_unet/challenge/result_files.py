"""Results as the challenges take them: a stack for ISBI 2012, masks for the Cell Tracking Challenge."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from keras_unet.instances.label_checks import check_labels, check_probability
from keras_unet.utils.atomic_files import written_aside

LARGEST_MASK_ID = 65535
"""The most objects in a mask of the Cell Tracking Challenge, which is uint16."""

_FEWEST_DIGITS = 3


def write_em_stack(path: str | os.PathLike[str], probability: npt.ArrayLike) -> Path:
    """Write the result of the ISBI 2012 EM challenge: probabilities of *cell*, 0 for membrane and 1 for no membrane.

    The challenge asked for "a 32-bit TIFF 3D image, which values between 0 (100% membrane certainty) and 1 (100%
    non-membrane certainty)": the polarity of its label files, black membranes, and of the metrics in
    `keras_unet.challenge`. The file is an uncompressed ImageJ stack, as the challenge's own are.

    Args:
        path: ends in `.tif` or `.tiff`; its folder is made if need be. Written aside and renamed.
        probability: (slices, height, width) in the order of the slices, in [0, 1].

    Returns:
        The path.

    Raises:
        ValueError: another suffix or rank, no pixels, NaN, or values outside [0, 1].

    Reference: imagej.net, "Segmentation of neuronal structures in EM stacks challenge - ISBI 2012", results format.
    """
    path, stack = Path(path), np.asarray(check_probability(probability), np.float32)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"{path}: expected a file name that ends in .tif or .tiff. Received {path.name!r}.")
    if stack.ndim != 3 or stack.size == 0:
        raise ValueError(f"{path}: expected probabilities (slices, height, width), not empty. Received {stack.shape}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        tifffile.imwrite(aside, stack, imagej=True, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


def write_mask(path: str | os.PathLike[str], labels: npt.ArrayLike) -> Path:
    """Write one frame's objects for the Cell Tracking Challenge: uint16 ids, LZW as in the challenge's own masks.

    Args:
        path: such as `01_RES/mask039.tif`, see `mask_names`; its folder is made if need be. Written aside and renamed.
        labels: (height, width) ids of objects, 0 for background.

    Returns:
        The path.

    Raises:
        ValueError: another suffix or rank, labels that are no ids, or ids beyond 65535.
    """
    path = Path(path)
    if path.suffix != ".tif":
        raise ValueError(f"{path}: expected a file name that ends in .tif. Received {path.name!r}.")
    ids = check_labels(labels, "labels")
    if ids.max() > LARGEST_MASK_ID:
        raise ValueError(
            f"{path}: expected at most {LARGEST_MASK_ID} objects, as masks are uint16. Received {ids.max()}: leave out "
            "small ones by a smallest size."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        tifffile.imwrite(aside, ids.astype(np.uint16), compression="lzw", photometric="minisblack", metadata=None)
    return path


def mask_names(frames: Sequence[str | os.PathLike[str]]) -> list[str]:
    """What the masks of a sequence are called: `mask039.tif` for the frame `t039.tif`.

    The number is the digits at the end of a name. All masks have as many as the longest, at least three.

    Args:
        frames: names or paths of the images of one sequence.

    Returns:
        A name for each, in their order.

    Raises:
        ValueError: a name without a number, or two frames of one number.
    """
    numbers = [_number(Path(frame)) for frame in frames]
    digits = max([_FEWEST_DIGITS, *map(len, numbers)])
    names = [f"mask{number.zfill(digits)}.tif" for number in numbers]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        first, second = [os.fspath(frame) for frame, name in zip(frames, names, strict=True) if name == twice[0]][:2]
        raise ValueError(f"Expected one image per frame. Received {first!r} and {second!r}, both for {twice[0]}.")
    return names


def _number(frame: Path) -> str:
    match = re.search(r"[0-9]+$", frame.stem)
    if match is None:
        raise ValueError(f"{frame}: expected a name that ends in a frame number, such as t039.tif. Received none.")
    return match[0]
