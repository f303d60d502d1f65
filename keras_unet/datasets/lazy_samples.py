"""Samples that stay in their files until they are wanted, for data sets larger than memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from keras_unet.datasets.base import LabelledImages, Sample, check_channels
from keras_unet.datasets.label_values import NamedLabels
from keras_unet.image_io.image_files import read_label_stack

Source = Callable[[], list[Sample]]
"""Reads the samples of one image file: one, or one for each page."""


class LabelFiles(Sequence[NamedLabels]):
    """Label files, each read when it is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        """Count the files."""
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> NamedLabels: ...
    @overload
    def __getitem__(self, index: slice) -> "LabelFiles": ...
    def __getitem__(self, index: int | slice) -> "NamedLabels | LabelFiles":
        """Read one file; of a slice nothing yet."""
        if isinstance(index, slice):
            return LabelFiles(self._paths[index])
        return str(self._paths[index]), read_label_stack(self._paths[index])


@dataclass(frozen=True)
class Outline:
    """What is remembered of a sample.

    Args:
        name: Of the sample.
        channels: Of its image.
        dtype: Name of its pixel type.
        highest_label: Largest label value.
    """

    name: str
    channels: int
    dtype: str
    highest_label: int


def outline(sample: Sample) -> Outline:
    """What is remembered of a sample."""
    return Outline(sample.name, sample.image.shape[-1], sample.image.dtype.name, int(sample.labels.max()))


class UnreadSamples(Sequence[Sample]):
    """Samples in files, each read when it is asked for. The file read last is kept, for its other pages.

    Args:
        sources: One for each file.
        places: For each sample the number of its source, its page there, and its outline.
    """

    def __init__(self, sources: Sequence[Source], places: Sequence[tuple[int, int, Outline]]) -> None:
        self._sources, self._places = sources, places
        self._kept: tuple[int, list[Sample]] = (-1, [])

    @property
    def outlines(self) -> tuple[Outline, ...]:
        """What is remembered of each sample."""
        return tuple(noted for _, _, noted in self._places)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "UnreadSamples": ...
    def __getitem__(self, index: int | slice) -> "Sample | UnreadSamples":
        """Read one sample; of a slice nothing yet.

        Raises:
            ValueError: If its file is damaged or no longer what it was at first.
            OSError: If it is gone.
        """
        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        number, page, noted = self._places[index]
        samples = self._read(number)
        if page >= len(samples) or outline(samples[page]) != noted:
            raise ValueError(f"{noted.name}: expected the image and labels found at first. Received changed ones.")
        return samples[page]

    def subset(self, indices: Iterable[int]) -> "UnreadSamples":
        """The samples at these positions, in this order."""
        return UnreadSamples(self._sources, [self._places[i] for i in indices])

    def _read(self, number: int) -> list[Sample]:
        kept, samples = self._kept
        if kept != number:
            del samples
            self._kept = (-1, [])  # let go of one file before the next is read
            samples = self._sources[number]()
            self._kept = (number, samples)
        return samples


@dataclass(frozen=True, eq=False)
class UnreadImages(LabelledImages):
    """A data set whose samples are read from their files each time they are asked for.

    Args:
        samples: Where they lie.
    """

    samples: UnreadSamples  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self._check_description()
        check_channels([(noted.name, noted.channels) for noted in self.samples.outlines])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples."""
        return tuple(noted.name for noted in self.samples.outlines)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.samples.outlines[0].channels

    def _chosen(self, indices: Sequence[int]) -> Any:
        return self.samples.subset(indices)


def collected(
    sources: Sequence[Source], in_memory: bool
) -> tuple[tuple[Sample, ...] | UnreadSamples, tuple[Outline, ...]]:
    """The samples of all files, kept or to be read again, and what is to be remembered of each.

    Raises:
        ValueError, OSError: As reading a file does; each is read once.
    """
    if in_memory:
        samples = tuple(sample for source in sources for sample in source())
        return samples, tuple(map(outline, samples))
    unread = UnreadSamples(sources, list(_places(sources)))
    return unread, unread.outlines


def _places(sources: Sequence[Source]) -> Iterator[tuple[int, int, Outline]]:
    for number, source in enumerate(sources):
        for page, noted in enumerate([outline(sample) for sample in source()]):
            yield number, page, noted


def data_set(samples: tuple[Sample, ...] | UnreadSamples, *description: Any) -> LabelledImages:
    """Samples with what is known of them all, as `LabelledImages` takes it."""
    if isinstance(samples, UnreadSamples):
        return UnreadImages(samples, *description)
    return LabelledImages(samples, *description)


def pixel_type_notes(outlines: Sequence[Outline]) -> tuple[str, ...]:
    """A sentence for the user if images differ in pixel type, as their ranges then may; nothing if they do not."""
    first = {noted.dtype: noted.name for noted in reversed(outlines)}
    if len(first) < 2:
        return ()
    found = ", ".join(f"{dtype} in {name}" for dtype, name in sorted(first.items()))
    return (f"Images differ in pixel type: {found}. One range of values holds for all.",)
