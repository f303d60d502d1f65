"""The monitored figure where it is one of whole validation images, as a challenge takes it."""

import keras

from keras_unet.datasets import LabelledImages
from keras_unet.datasets.label_maps import true_objects
from keras_unet.inference.tile_sizes import largest_tile
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics.computed_metrics import chosen_metrics

from .config import Config, ConfigError
from .config_sections import OF_WHOLE_IMAGES
from .evaluation import evaluate, scope_of


def check_monitor(config: Config, validate: LabelledImages | None) -> None:
    """Refuse a figure of whole images that the validation images do not have.

    Raises:
        ConfigError: If it does not fit their labels, or there is no object in them.
    """
    monitor = config.training.monitor
    if validate is None or monitor not in OF_WHOLE_IMAGES:
        return
    try:
        chosen_metrics([monitor], scope_of(validate, InstanceSettings()))
    except ValueError as error:
        hint = str(error).replace("--label-kind instances", "--set data.options.label_kind=instances")
        raise ConfigError(f"training.monitor: {hint}") from None
    if not any(true_objects(one.labels, validate.kind, validate.ignore_label).any() for one in validate):
        raise ConfigError(
            f"training.monitor: Expected validation images with at least one object for {monitor}. Received "
            "background alone."
        )


def monitored(config: Config, model: keras.Model, validate: LabelledImages | None) -> dict[str, float]:
    """The monitored figure by its name, if it is one of whole images; in tiles as large as training's at the most."""
    monitor = config.training.monitor
    if validate is None or monitor not in OF_WHOLE_IMAGES:
        return {}
    tile = largest_tile(model.geometry, config.training.input_size)
    return {monitor: evaluate(model, validate, threshold=None, metrics=[monitor], tile=tile)[monitor]}
