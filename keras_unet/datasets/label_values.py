"""Which values label files hold; of the labels themselves nothing is kept, so that files need not fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NamedLabels = tuple[str, NDArray[Any]]


@dataclass(frozen=True)
class LabelValues:
    """What label files hold, in their order.

    Args:
        names: of the files.
        pages: number of label images in each.
        per_file: values in each, but for the ignored one.
    """

    names: list[str]
    pages: list[int]
    per_file: list[set[int]]

    @property
    def values(self) -> list[int]:
        """Values of all files, in order."""
        return sorted(set().union(*self.per_file))

    @property
    def are_masks(self) -> bool:
        """Whether each file has 0 and 1, or 0 and 255, or one of them alone."""
        return all(values <= {0, 1} or values <= {0, 255} for values in self.per_file)

    @property
    def are_lossy(self) -> bool:
        """Whether values are near 0 and near 255 with nothing between: a mask that went through JPEG."""
        values = self.values
        low, high = [v for v in values if v < 64], [v for v in values if 192 <= v <= 255]
        jpeg = any(name.lower().endswith((".jpg", ".jpeg")) for name in self.names)
        several = len(low) >= 3 and len(high) >= 3
        return len(low) + len(high) == len(values) > 2 and bool(low and high) and (jpeg or several)

    def first_with(self, value: int) -> str:
        """Name of the first file that holds a value."""
        return next(name for name, values in zip(self.names, self.per_file, strict=True) if value in values)


def collect_values(files: Sequence[NamedLabels], ignore_label: int | None) -> LabelValues:
    """Go through label files once.

    Args:
        files: name and integer labels, `(height, width)` or `(pages, height, width)`, of every file.
        ignore_label: value that is left out.

    Raises:
        ValueError: there is no other value than the ignored one, or a negative one.
    """
    found = LabelValues([], [], [])
    for name, labels in files:
        found.names.append(name)
        found.pages.append(labels.size // (labels.shape[-2] * labels.shape[-1]))
        found.per_file.append(set(np.unique(labels).tolist()) - {ignore_label})
    values = found.values
    if not values:
        raise ValueError(f"{found.names[0]}: expected labels. Received nothing but the ignored {ignore_label}.")
    if values[0] < 0:
        name = found.first_with(values[0])
        raise ValueError(f"{name}: expected labels from 0. Received {values[0]}: name it as ignore_label if it is one.")
    return found
