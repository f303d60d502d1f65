"""Files of the Cell Tracking Challenge, found by sequence and frame number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_unet.datasets.published.published_files import other_layout
from keras_unet.image_io.decoding import ImageError

Files = dict[int, Path]


@dataclass(frozen=True)
class Frames:
    """Files of one sequence, by frame number.

    Args:
        name: `01` or `02`.
        images: Frames.
        gold: Masks drawn by people, for some frames.
        silver: Masks made by programs.
        markers: Tracking markers, a spot in each cell.
    """

    name: str
    images: Files
    gold: Files
    silver: Files
    markers: Files

    def masks(self, truth: str) -> Files:
        """Masks of a truth; gold before silver where both are wanted."""
        return {"gold": self.gold, "silver": self.silver, "gold_and_silver": {**self.silver, **self.gold}}[truth]

    def numbers(self, truth: str, wanted: Sequence[int] | None) -> list[int]:
        """Numbers of the frames to read, rising.

        Raises:
            ImageError: A mask without image, or an image without mask where the truth is to be complete.
            ValueError: A frame is wanted that there is not.
        """
        masks = self.masks(truth)
        if wanted is not None:
            chosen = sorted(set(_checked(wanted)))
        else:
            chosen = sorted(masks) if truth == "gold" else sorted(self.images.keys() | masks.keys())
        without_image = [number for number in chosen if number not in self.images]
        without_mask = [number for number in chosen if number not in masks]
        if without_image:
            raise ImageError(
                f"Sequence {self.name}: expected an image t….tif for frame {without_image[0]}. Received frames "
                f"{min(self.images)} to {max(self.images)}, without {len(without_image)} of {len(chosen)}."
            )
        if without_mask:
            raise ImageError(
                f"{self.images[without_mask[0]]}: image without label. Expected a {_words(truth)} truth man_seg….tif "
                f"for frame {without_mask[0]}. Received none for {len(without_mask)} of {len(chosen)} frames: choose "
                f"others by the option frames."
            )
        return chosen


def find_sequences(root: Path, wanted: str | Sequence[str] | None, truth: str, expected: str) -> list[Frames]:
    """Sequences in a folder.

    Args:
        root: Folder with `01`, `01_GT` and so on.
        wanted: Their names; None for all that have the truth.
        truth: `"gold"`, `"silver"` or `"gold_and_silver"`.
        expected: The layout in words, for the message.

    Raises:
        ImageError: There is none, or one without image or the truth.
        ValueError: A sequence is wanted that there is not.
    """
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and re.fullmatch(r"\d\d", p.name))
    if not names:
        raise other_layout(root, expected)
    chosen = names if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        received = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"{root}: expected sequences among {', '.join(names)}. Received {received}.")
    found = [_sequence(root, name) for name in chosen]
    usable = [sequence for sequence in found if sequence.images and sequence.masks(truth)]
    unusable = [sequence for sequence in found if sequence not in usable]
    if unusable and (wanted is not None or not usable):
        raise ImageError(f"{root}: {_lack(root, unusable[0], truth)}")
    return usable


def _sequence(root: Path, name: str) -> Frames:
    return Frames(
        name,
        images=_numbered(root / name, "t"),
        gold=_numbered(root / f"{name}_GT" / "SEG", "man_seg"),
        silver=_numbered(root / f"{name}_ST" / "SEG", "man_seg"),
        markers=_numbered(root / f"{name}_GT" / "TRA", "man_track"),
    )


def _numbered(folder: Path, prefix: str) -> Files:
    """Files `prefix` + number + `.tif` by their number; none if there is no such folder."""
    named = re.compile(rf"{prefix}(\d+)\.tiff?", re.IGNORECASE)
    files = folder.iterdir() if folder.is_dir() else ()
    return {int(match[1]): path for path in files if (match := named.fullmatch(path.name))}


def _lack(root: Path, sequence: Frames, truth: str) -> str:
    name = sequence.name
    if not sequence.images:
        return f"expected images t000.tif, t001.tif … in {name}. Received none."
    folders = {"gold": [f"{name}_GT/SEG"], "silver": [f"{name}_ST/SEG"]}.get(
        truth, [f"{name}_GT/SEG", f"{name}_ST/SEG"]
    )
    sliced = any(next((root / folder).glob("man_seg_*"), None) for folder in folders if (root / folder).is_dir())
    hint = ": masks of slices (man_seg_…) belong to volumes, which are not read" if sliced else ""
    return f"expected {_words(truth)} truth man_seg000.tif … in {' or '.join(folders)}. Received none{hint}."


def _checked(wanted: Sequence[int]) -> list[int]:
    numbers = [] if isinstance(wanted, str) else list(wanted)
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise ValueError(f"Expected frames as a list of numbers such as [39, 54, 67]. Received {wanted!r}.")
    return numbers


def _words(truth: str) -> str:
    return truth.replace("_and_", " or ")
