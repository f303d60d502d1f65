"""Which samples a run learns from and which it is judged by; the choice is explicit and printed."""

import math
import os
import re
from dataclasses import dataclass
from itertools import pairwise

from keras_unet import datasets
from keras_unet.datasets import LabelledImages

from .config import ConfigError, Data

_RANGE = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")


@dataclass(frozen=True)
class Split:
    """A data set in two parts.

    Args:
        train: Samples to train on.
        validate: Samples to judge by, or None.
        notes: How the data were understood and divided, one sentence each.
    """

    train: LabelledImages
    validate: LabelledImages | None
    notes: tuple[str, ...]


def load_data(settings: Data) -> LabelledImages:
    """The data set of a configuration.

    Raises:
        ConfigError: If the reader knows no such option, or the ignored label is no whole number.
        ValueError: If the data cannot be used.
        OSError: If a file cannot be opened.
    """
    ignored = settings.options.get("ignore_label")
    if ignored is not None and type(ignored) is not int:
        raise ConfigError(f"data.options.ignore_label: Expected a whole number. Received {ignored!r}.")
    try:
        return datasets.load(settings.name, settings.path, **settings.options)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None or unknown[1] not in settings.options:
            options = ", ".join(f"{key}={value!r}" for key, value in settings.options.items())
            raise ConfigError(f"Expected data.options that fit the data. Received {options}: {error}.") from error
        raise ConfigError(f'Unknown key data.options.{unknown[1]}: data set "{settings.name}" has none.') from None


def split(data: LabelledImages, settings: Data) -> Split:
    """Divide a data set as the section `[data]` says.

    Raises:
        ConfigError: If a part is empty, a sample is in both, or an index is outside the data set.
    """
    train, validate = _parts(settings, len(data))
    if settings.train is not None and not train:
        raise ConfigError(
            f"data.train: Expected at least one sample to train on. Received {settings.train!r}; without the key, all "
            "that are not in data.validate are."
        )
    if not train:
        raise ConfigError(
            f"Expected at least one sample to train on. All {len(data)} are in data.validate; data.validate=0 "
            "validates on none."
        )
    notes = (*data.notes, _note("Training on", train, data), _note("Validating on", validate, data))
    return Split(data.subset(train), data.subset(validate) if validate else None, notes)


def fold_settings(settings: Data, count: int, folds: int) -> list[Data]:
    """The section `[data]` of each fold, which validates on one part of the samples and trains on the others.

    Parts are contiguous, because neighbouring slices of a stack and frames of a film resemble each other, and differ by
    one sample at most.

    Args:
        settings: Of which the samples to train and to validate on are divided together.
        count: Samples of the data set.
        folds: Number of parts.

    Raises:
        ConfigError: If there are fewer samples than folds, or `settings` cannot be used.
    """
    train, validate = _parts(settings, count)
    samples = sorted({*train, *validate})
    if not 2 <= folds <= len(samples):
        raise ConfigError(f"Expected from 2 to {len(samples)} folds, as there are so many images. Received {folds}.")
    ends = [len(samples) * number // folds for number in range(folds + 1)]
    return [
        settings.model_copy(
            update={"train": _ranges(samples[:first] + samples[last:]), "validate_on": _ranges(samples[first:last])}
        )
        for first, last in pairwise(ends)
    ]


def _parts(settings: Data, count: int) -> tuple[list[int], list[int]]:
    """Indices of the samples to train and to validate on."""
    validate = _validation_indices(settings, count)
    if settings.train is None:
        train = [index for index in range(count) if index not in set(validate)]
    else:
        train = _indices(settings.train, "data.train", count)
    shared = sorted(set(train) & set(validate))
    if shared:
        raise ConfigError(f"Expected samples to be in data.train or data.validate. Received {shared[0]} in both.")
    return train, validate


def _ranges(indices: list[int]) -> str:
    """Rising indices as `"0-3, 7"`."""
    breaks = [place for place in range(1, len(indices)) if indices[place] != indices[place - 1] + 1]
    runs = [indices[first:last] for first, last in pairwise([0, *breaks, len(indices)])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _validation_indices(settings: Data, count: int) -> list[int]:
    wanted = settings.validate_on
    if isinstance(wanted, float | int):
        return list(range(count - math.ceil(wanted * count), count))
    return _indices(wanted, "data.validate", count)


def _indices(wanted: list[int] | str, key: str, count: int) -> list[int]:
    """Indices in order of mention, each once."""
    chosen = list(dict.fromkeys(_parsed(wanted, key, count) if isinstance(wanted, str) else wanted))
    outside = [index for index in chosen if index >= count]
    if outside:
        raise ConfigError(f"{key}: Expected sample indices from 0 to {count - 1}. Received {outside[0]}.")
    return chosen


def _parsed(text: str, key: str, count: int) -> list[int]:
    """`"0-3, 7"` as indices; both ends of a range are meant."""
    indices: list[int] = []
    for part in filter(str.strip, text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ConfigError(f'{key}: Expected indices and ranges such as "0-19, 22". Received {text!r}.')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"{key}: Expected a range from a smaller to a larger index. Received {part.strip()!r}.")
        # An index past the end is refused by the caller; a range need not be written out to find one.
        indices += range(first, min(last, max(first, count)) + 1)
    return indices


def _note(what: str, indices: list[int], data: LabelledImages) -> str:
    if not indices:
        return f"{what} no samples: the last weights are kept."
    folder = os.path.commonprefix(data.names).rpartition("/")[0]
    names = [data.names[index].removeprefix(f"{folder}/") for index in indices]
    listed = ", ".join(names if len(names) <= 4 else [*names[:2], "…", names[-1]])
    return f"{what} {len(indices)} of {len(data)} samples: {listed}."
