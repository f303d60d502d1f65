"""What a run is made of, section by section; every key is checked before anything is read or written.

A configuration is TOML. Unknown keys are refused with the nearest known one, so that a slip of the pen never trains
silently with a default.
"""

from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from .config_file import ConfigError, change, dump, read_source, sentences
from .config_sections import Augmentation, Data, Loss, Model, Optimizer, Section, Training

__all__ = [
    "Augmentation",
    "Config",
    "ConfigError",
    "Data",
    "Loss",
    "Model",
    "Optimizer",
    "Training",
    "config_from_dict",
    "dump",
    "load_config",
]


class Config(Section):
    """All sections of a run's configuration."""

    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer = Optimizer()
    training: Training = Training()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            self.model.geometry.check_input(self.training.input_size)
        except ValueError as error:
            raise ValueError(f"training.input_size: {error}") from None
        if self.training.xla and self.training.deterministic:
            raise ValueError(
                "training.xla: Expected false with training.deterministic = true, as XLA has no deterministic gradient "
                "of max pooling. Received true."
            )
        if self.model.value_range and self.model.pixel_normalization != "range":
            raise ValueError(
                'model.value_range: Expected it with model.pixel_normalization = "range" alone. Received it with '
                f'"{self.model.pixel_normalization}": leave it out, or --set model.pixel_normalization=range.'
            )
        if self.optimizer.warmup_steps > self.training.steps:
            raise ValueError(
                f"optimizer.warmup_steps: Expected at most training.steps = {self.training.steps}. Received "
                f"{self.optimizer.warmup_steps}: a shorter run takes a shorter warm-up, such as "
                f"--set optimizer.warmup_steps={self.training.steps // 10}."
            )
        if self.optimizer.schedule == "exponential" and not self.optimizer.end_learning_rate:
            raise ValueError(
                'optimizer.end_learning_rate: Expected more than 0 with schedule "exponential". Received 0.'
            )
        return self

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Sections of plain values as a file holds them; what is None is left out."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


def load_config(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """A configuration from a preset or a file, with some keys changed.

    Args:
        source: Name of a preset (`"synthetic"`, `"isbi2012"`, `"dic-hela-small"` …) or path of a TOML file.
        overrides: `"section.key=value"` each; the value is TOML, or else taken as text. Where `training.steps` is
            changed and `optimizer.warmup_steps` is not, a warm-up that no longer fits becomes a tenth of the run.

    Raises:
        ConfigError: A sentence for each key that is unknown or has an impossible value.
        OSError: If the file cannot be read.
    """
    values = change(read_source(source), overrides)
    changed = {override.partition("=")[0].strip() for override in overrides}
    if "training.steps" in changed and "optimizer.warmup_steps" not in changed:
        _shorten_warm_up(values)
    return config_from_dict(values)


def _shorten_warm_up(values: dict[str, Any]) -> None:
    """Fit the warm-up of the file into a shorter run; what is no number is left for the check to refuse."""
    steps, optimizer = values["training"]["steps"], values.get("optimizer")
    if not isinstance(optimizer, dict):
        return
    warm_up = optimizer.get("warmup_steps", 0)
    if isinstance(steps, int) and isinstance(warm_up, int) and warm_up > steps > 0:
        values["optimizer"] = {**optimizer, "warmup_steps": steps // 10}


def config_from_dict(values: dict[str, Any]) -> Config:
    """A configuration from its sections.

    Raises:
        ConfigError: A sentence for each key that is unknown or has an impossible value.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(sentences(error, Config, values)) from None
