"""How objects are found once a net has given its probabilities: what `tune` chooses and everything else uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy.typing as npt

from keras_unet.instances.components import check_depth as _check_depth
from keras_unet.instances.components import drop_small, flood_down, instances, watershed_instances
from keras_unet.instances.expansion import expand_between
from keras_unet.instances.label_checks import Labels, check_count, check_threshold

# The separation border that a net is trained to leave between objects is up to two pixels wide.
BORDER = 2


@dataclass(frozen=True)
class InstanceSettings:
    """How objects are found.

    Args:
        threshold: A pixel is foreground where its probability is greater.
        min_size: Smallest area in pixels of an object.
        watershed: Whether touching objects are split at the h-maxima of the distance transform, see
            `watershed_instances`; if not, they are connected components.
        depth: The h of the h-maxima: a part is an object of its own if it is wider than its waist by more, in pixels
            of distance to the background. Large, uneven objects take more than 1 so as not to be cut in pieces.
        seed_threshold: Objects are found above this threshold, then flooded down to `threshold`, see `flood_down`;
            None for a single threshold. A component of `threshold` without a pixel above this one is dropped.
        expand: Width in pixels of gaps between two objects that are closed, see `expand_between`: what a separation
            border took goes back to the objects that it separates. 0 to leave it background.

    Raises:
        ValueError: If a value is out of its range, or the seeds' threshold is the lower one.
    """

    threshold: float = 0.5
    min_size: int = 0
    watershed: bool = False
    depth: float = 1.0
    seed_threshold: float | None = None
    expand: int = BORDER

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        check_count(self.min_size, "min_size")
        check_count(self.expand, "expand")
        _check_depth(self.depth)
        if check_threshold(self.upper) < self.threshold:
            raise ValueError(
                f"Expected seed_threshold of at least the threshold {self.threshold:g}, down to which seeds are "
                f"flooded. Received {self.upper:g}."
            )

    @property
    def upper(self) -> float:
        """The threshold above which objects are found before they are flooded."""
        return self.threshold if self.seed_threshold is None else self.seed_threshold

    def find(self, probability: npt.ArrayLike) -> Labels:
        """Object ids `(height, width)` from 1 in reading order, 0 for background, from foreground probabilities.

        Raises:
            ValueError: As `keras_unet.instances.instances` and `watershed_instances`.
        """
        if self.watershed:
            found = watershed_instances(probability, self.upper, depth=self.depth)
        else:
            found = instances(probability, self.upper)
        if self.threshold < self.upper:
            found = flood_down(found, probability, self.threshold)
        return expand_between(drop_small(found, self.min_size), self.expand)

    def in_words(self) -> str:
        """Such as "components above 0.9, from 60 pixels on, expanded over gaps of up to 2 pixels"."""
        method = f"watershed of depth {self.depth:g}" if self.watershed else "components"
        flooded = f" flooded down to {self.threshold:g}" if self.threshold < self.upper else ""
        expanded = f", expanded over gaps of up to {self.expand} pixels" if self.expand else ""
        return f"{method} above {self.upper:g}{flooded}, from {self.min_size} pixels on{expanded}"

    def but(self, **given: Any) -> Self:
        """These settings with those that are given, and not None, in their place.

        A threshold that is given alone is a single one: it replaces both.
        """
        changes = {name: value for name, value in given.items() if value is not None}
        if "threshold" in changes:
            changes = {"seed_threshold": None, **changes}
        return replace(self, **changes)

    @classmethod
    def validated(cls, figures: Mapping[str, Any], **given: Any) -> Self:
        """The settings among the figures of a run or the metadata of an exported model, but for those given, not None.

        `tuned` holds what `keras-unet tune` chose; without it `threshold` is the one that training validated for
        components, and 0.5 stands for neither. Components that are asked for where something else was chosen take the
        threshold that is best for them.

        Raises:
            ValueError: If a value is out of its range, or together they do not fit.
        """
        tuned = figures.get("tuned")
        if not isinstance(tuned, Mapping):
            return cls(float(figures.get("threshold", 0.5))).but(**given)
        chosen = cls(**{field.name: tuned[field.name] for field in fields(cls) if field.name in tuned})
        if given.get("watershed") is False:
            best = float(tuned.get("components_threshold", chosen.threshold))
            chosen = replace(chosen, threshold=best, seed_threshold=None)
        return chosen.but(**given)
