"""A run's kept model on its validation images: figures as `keras-unet evaluate` takes them, the worst images first."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_unet.commands.evaluate import judge_model
from keras_unet.commands.open_models import Segmenter, open_model
from keras_unet.datasets import LabelledImages
from keras_unet.metrics.computed_metrics import figures, figures_by_image
from keras_unet.metrics.evaluated_image import JudgedImage, Scope
from keras_unet.metrics.registry import Figures
from keras_unet.pipeline.examples import class_balance, prepare
from keras_unet.training import Config, ConfigError
from keras_unet.training.config import Data
from keras_unet.training.config_sections import SMALLER_IS_BETTER
from keras_unet.training.data_split import Split, load_data, split
from keras_unet.training.history import History
from keras_unet.training.provenance import fingerprint


class Reader:
    """Reads the data of runs; those that the last run had are not read again.

    Args:
        path: Where the data of all runs lie now, or None for where each run's configuration says.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._last: tuple[Data, Split] | None = None

    def parts(self, settings: Data) -> Split:
        """Training and validation images; raises as `load_data` and `split`."""
        if self._path is not None:
            settings = settings.model_copy(update={"path": str(self._path.absolute())})
        if self._last is None or self._last[0] != settings:
            self._last = None  # two data sets at a time need not fit into memory
            self._last = settings, split(load_data(settings), settings)
        return self._last[1]


@dataclass(frozen=True)
class EvaluatedRun:
    """What a run's kept model makes of its validation images.

    Args:
        history: The run.
        config: Its configuration.
        train: Training images.
        data: Validation images.
        images: The same images beside what the model makes of them.
        scope: What they are judged by.
        differing: Names of images that are not those the run was validated on.
    """

    history: History
    config: Config
    train: LabelledImages
    data: LabelledImages
    images: Sequence[JudgedImage]
    scope: Scope
    differing: Sequence[str]

    @cached_property
    def whole(self) -> Figures:
        """Figures of all images together."""
        return figures(self.images, self.scope)

    @cached_property
    def by_image(self) -> dict[str, Figures]:
        """Figures of each image by itself, by its name."""
        return figures_by_image(self.images, self.scope)

    def short(self, name: str) -> str:
        """An image's name without the folder that all lie in."""
        folder = os.path.commonprefix(self.data.names).rpartition("/")[0]
        return name.removeprefix(f"{folder}/")

    @property
    def deciding(self) -> str:
        """The figure that images are sorted by: the run's own; mean IoU for the loss, which is of tiles alone."""
        monitor = self.history.monitor
        return monitor if monitor in self.whole else "mean_iou"

    @property
    def smaller_is_better(self) -> bool:
        """Whether the figure that images are sorted by is an error."""
        return self.deciding in SMALLER_IS_BETTER

    @cached_property
    def worst_first(self) -> list[int]:
        """Positions of the images, the worst first; an image without the figure is last."""
        values = [self.by_image[image.name].get(self.deciding) for image in self.images]
        sign = -1 if self.smaller_is_better else 1
        return sorted(
            range(len(values)), key=lambda place: np.inf if (value := values[place]) is None else sign * value
        )

    @property
    def weighted(self) -> bool:
        """Whether training weighed pixels."""
        return bool(self.config.loss.w0) or self.config.loss.class_weights != "none"

    def weights(self, place: int) -> NDArray[np.float32]:
        """The weight map that training gives the image at a position, `(height, width)`."""
        loss = self.config.loss
        given = None if isinstance(loss.class_weights, str) else loss.class_weights
        weights = class_balance(self.train, lambda sentence: None) if loss.class_weights == "balanced" else given
        return prepare(self.data.subset([place]), w0=loss.w0, sigma=loss.sigma, class_weights=weights)[0].weight

    @cached_property
    def _net(self) -> Segmenter:
        return open_model(self.history.folder.path)

    def certainty(self, place: int) -> NDArray[np.float32]:
        """Probability of the most probable class of each pixel; needed for more than two classes, so predicted anew."""
        probabilities = self._net(self.data[place].image)
        return np.asarray(probabilities.max(axis=-1), np.float32)


def judge_run(history: History, reader: Reader) -> EvaluatedRun:
    """Judge a run's kept model on its validation images.

    Raises:
        ConfigError: If the run's configuration is of another version, it validated on nothing, it has kept no model
            yet, or none of the images is one that it was validated on.
        OSError, ValueError: If the data or the model cannot be read, or do not go together.
    """
    config, folder = history.config, history.folder
    if config is None:
        raise ConfigError("Expected a configuration of this version to read data by. Received one of another.")
    if config.data.validate_on in (0, [], ""):
        raise ConfigError("The run has no validation images: data.validate is 0.")
    if not folder.model.exists():
        raise ConfigError(
            "The run's model.keras is gone. The command that began the run makes it anew from the best checkpoint."
            if history.finished
            else "The run has kept no model yet: the first is written at its first validation."
        )
    parts = reader.parts(config.data)
    if parts.validate is None:
        raise ConfigError("The run has no validation images: data.validate is 0.")
    differing = _differing(history, parts.validate)
    images, scope = judge_model(folder.path, [(folder.path, parts.validate)], {}, None, None, "none")
    return EvaluatedRun(history, config, parts.train, parts.validate, images, scope, differing)


def _differing(history: History, data: LabelledImages) -> list[str]:
    """Names of images that the run's record does not hold with these pixels and labels, wherever they lay.

    Raises:
        ConfigError: If it holds none of them.
    """
    recorded = history.provenance.get("validate")
    if not isinstance(recorded, list) or not all(isinstance(one, dict) for one in recorded):
        return []
    known = {(one.get("image"), one.get("labels")) for one in recorded}
    differing = [one["name"] for one in fingerprint(data) if (one["image"], one["labels"]) not in known]
    if len(differing) == len(data):
        raise ConfigError(
            f"Expected the images that the run was validated on. Received {len(data)} others: {differing[0]} and the "
            "like."
        )
    return differing
