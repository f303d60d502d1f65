"""`keras-unet predict --format isbi` and `--format ctc`: results as the challenges take them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_unet import image_io
from keras_unet.challenge.result_files import mask_names, write_em_stack, write_mask
from keras_unet.commands.failed_files import Failures
from keras_unet.commands.inputs import image_files, list_files
from keras_unet.commands.open_models import Segmenter
from keras_unet.commands.predict import foreground
from keras_unet.commands.value_range import check_range
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.instances.region_merging import merged_map

STACK_NAME = "result-volume.tif"


def write_isbi(
    segment: Segmenter, paths: Sequence[Path], out: Path, merge_threshold: float | None = None
) -> Iterator[Path]:
    """Segment slices into one stack for the ISBI 2012 EM challenge, see `keras_unet.challenge.write_em_stack`.

    Nothing is written unless every slice could be segmented.

    Args:
        segment: From `open_model`; its class 0 is membrane and class 1 the inside of cells, as `isbi2012` reads them.
        paths: Stacks, files and folders of slices; slices go by the order of the paths, of the names in a folder
            (`slice2` before `slice10`), of the pages in a file.
        out: Folder for `result-volume.tif`, made if need be.
        merge_threshold: Regions are merged by it and the lines between them made 0, see
            `keras_unet.instances.region_merging.merged_map`; None to leave the probabilities as they are.

    Yields:
        The path of the stack.

    Raises:
        ValueError: If the model does not tell two classes apart, or a slice cannot be read, has another size than the
            others or does not fit the model.
    """
    _check_two_classes(segment)
    stacks = {file: image_io.read_stack(file) for file in image_files(paths, out)}
    _check_one_size(stacks)
    for file, pages in stacks.items():
        check_range(file, pages, segment.value_range)
    slices = [(file, page) for file, pages in stacks.items() for page in pages]
    bar = tqdm(slices, unit="slice", desc="segmenting", disable=None)
    cells = (_cell(segment, file, page) for file, page in bar)
    if merge_threshold is not None:
        cells = (merged_map(cell, merge_threshold) for cell in cells)
    yield write_em_stack(out / STACK_NAME, np.stack(list(cells)))


def write_ctc(segment: Segmenter, paths: Sequence[Path], out: Path, settings: InstanceSettings) -> Iterator[Path]:
    """Segment frames into masks for the Cell Tracking Challenge: `01/t039.tif` into `01_RES/mask039.tif`.

    That is a result of its segmentation benchmark; objects are not tracked. A mask that exists is replaced, masks of
    other frames stay. The number of objects of each frame is printed. A frame that fails is told on stderr: the others
    follow.

    Args:
        segment: From `open_model`.
        paths: Frames, or the folders of sequences; a frame's folder has the number of its sequence as name.
        out: Folder for the folders `01_RES`, that of the data set to have them beside `01` and `01_GT`.
        settings: How to tell objects apart.

    Yields:
        Paths of the masks.

    Raises:
        ValueError: Before anything is written, if the model does not tell two classes apart, a name holds no frame
            number, two have the same, or a folder is not called after a sequence; at the end, if a frame failed.
    """
    _check_two_classes(segment)
    targets = mask_files(list_files(paths, out))
    failures = Failures(len(targets))
    for file, target in tqdm(targets.items(), unit="frame", desc="segmenting", disable=None):
        with failures.told(file):
            frame = image_io.read_image(file)
            check_range(file, frame[None], segment.value_range)
            labels = settings.find(_cell(segment, file, frame))
            print(f"{target}: {labels.max()} objects")
            yield write_mask(out / target, labels)
    failures.check()


def mask_files(frames: Sequence[Path]) -> dict[Path, Path]:
    """Where the mask of each frame belongs: `01_RES/mask039.tif` for `01/t039.tif`.

    Raises:
        ValueError: If a folder is not called after a sequence, or as `keras_unet.challenge.mask_names`.
    """
    sequences: dict[str, list[Path]] = {}
    for frame in frames:
        sequences.setdefault(_sequence(frame), []).append(frame)
    return {
        frame: Path(f"{sequence}_RES") / name
        for sequence, members in sequences.items()
        for frame, name in zip(members, mask_names(members), strict=True)
    }


def _sequence(frame: Path) -> str:
    name = frame.resolve().parent.name
    if not (name.isascii() and name.isdecimal()):
        raise ValueError(
            f"{frame}: expected a frame in a folder called after its sequence, such as 01/{frame.name}. "
            f"Received the folder {name!r}."
        )
    return name


def _check_two_classes(segment: Segmenter) -> None:
    if segment.num_classes > 2:
        raise ValueError(
            f"Expected a model of two classes, as the challenge has no more. Received {segment.num_classes} classes."
        )


def _check_one_size(stacks: Mapping[Path, NDArray[Any]]) -> None:
    """Raise a `ValueError` unless the pages of all stacks have one height and width."""
    first, shape = next((file, pages.shape[1:3]) for file, pages in stacks.items())
    for file, pages in stacks.items():
        if pages.shape[1:3] != shape:
            raise ValueError(
                f"{file}: expected slices of one size, {shape} as in {first.name}. Received {pages.shape[1:3]}."
            )


def _cell(segment: Segmenter, file: Path, image: NDArray[Any]) -> NDArray[np.float32]:
    try:
        return foreground(segment(image))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
