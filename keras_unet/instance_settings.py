"""How objects are told apart once a net has given its probabilities: what `tune` chooses and everything else uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy.typing as npt

from keras_unet.instances import Labels, instances, watershed_instances

# What a net is taught is one pixel short where objects touch; growing gives that pixel back.
GROW = 1


@dataclass(frozen=True)
class InstanceSettings:
    """How objects are told apart.

    Args:
        threshold: A pixel is foreground where its probability is greater.
        min_size: Smallest area in pixels of an object.
        watershed: Whether objects that hang together are parted at their waists, see `watershed_instances`; if not,
            they are connected components.
        depth: Of the watershed: a part is an object of its own if it is wider than its waist by more, in pixels of
            distance to the background. Large, uneven objects take more than 1 so as not to be cut in pieces.
    """

    threshold: float = 0.5
    min_size: int = 0
    watershed: bool = False
    depth: float = 1.0

    def find(self, probability: npt.ArrayLike) -> Labels:
        """Object ids `(height, width)` from 1, 0 for background, from foreground probabilities `(height, width)`.

        Raises:
            ValueError: As `keras_unet.instances.instances` and `watershed_instances`.
        """
        if self.watershed:
            return watershed_instances(probability, self.threshold, self.min_size, grow=GROW, depth=self.depth)
        return instances(probability, self.threshold, self.min_size, grow=GROW)

    def in_words(self) -> str:
        """Such as "components above 0.9, from 60 pixels on" or "watershed of depth 4 above 0.7, from 60 pixels on"."""
        method = f"watershed of depth {self.depth:g}" if self.watershed else "components"
        return f"{method} above {self.threshold:g}, from {self.min_size} pixels on"

    def but(self, **given: Any) -> Self:
        """These settings with those that are given, and not None, in their place."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @classmethod
    def validated(cls, figures: Mapping[str, Any], **given: Any) -> Self:
        """The settings among the figures of a run or the metadata of an exported model, but for those given, not None.

        `tuned` holds what `keras-unet tune` chose; without it `threshold` is the one that training validated for
        components, and 0.5 stands for neither. Components that are asked for where a watershed was chosen take the
        threshold that is best for them.
        """
        tuned = figures.get("tuned")
        if not isinstance(tuned, Mapping):
            return cls(float(figures.get("threshold", 0.5))).but(**given)
        chosen = cls(**{field.name: tuned[field.name] for field in fields(cls) if field.name in tuned})
        if chosen.watershed and given.get("watershed") is False:
            chosen = replace(chosen, threshold=float(tuned.get("components_threshold", chosen.threshold)))
        return chosen.but(**given)
