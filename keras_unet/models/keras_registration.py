"""The package's classes under their names in Keras, so that `keras.saving.load_model` finds them.

Keras looks up the classes that a file names among those registered, and imports no module for it. `import keras_unet`
imports none either, as it is to cost nothing: it registers stand-ins, now or as soon as Keras is imported, and each
imports its class when a file needs it.
"""

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PACKAGE = "keras_unet"
CLASSES = {
    "UNet": "models.unet.UNet",
    "BilinearUpsampling": "models.blocks.BilinearUpsampling",
    "NormalizePixels": "preprocessing.pixel_normalization.NormalizePixels",
    "Conv2D": "models.blocks.Conv2D",
    "Conv2DTranspose": "models.blocks.Conv2DTranspose",
    "WeightedCrossentropy": "losses.weighted_crossentropy.WeightedCrossentropy",
    "Dice": "losses.dice.Dice",
    "CrossentropyDice": "losses.crossentropy_dice.CrossentropyDice",
    "PixelAccuracy": "metrics.keras_metrics.PixelAccuracy",
    "MeanIoU": "metrics.keras_metrics.MeanIoU",
    "MeanDice": "metrics.keras_metrics.MeanDice",
    "IoU": "metrics.keras_metrics.IoU",
    "DiceCoefficient": "metrics.keras_metrics.DiceCoefficient",
    "WarmUpAndDecay": "training.optimizers.WarmUpAndDecay",
    "CentralizedSGD": "training.optimizers.CentralizedSGD",
    "CentralizedAdam": "training.optimizers.CentralizedAdam",
    "CentralizedAdamW": "training.optimizers.CentralizedAdamW",
}
"""Where each class is, by the name that it is registered with."""


class StandIn:
    """Takes the place of a class in Keras' registry until the class's module is imported.

    Args:
        place: Module and class, seen from the package.
    """

    def __init__(self, place: str) -> None:
        self._module, _, self._name = place.rpartition(".")

    def from_config(self, config: dict[str, Any]) -> Any:
        """An instance of the class, which registers itself in the stand-in's place."""
        return getattr(import_module(f"{PACKAGE}.{self._module}"), self._name).from_config(config)


def register_when_keras_is_imported() -> None:
    """Register the stand-ins: at once if Keras is imported, else when it is."""
    if sys.modules.get("keras") is None:
        sys.meta_path.insert(0, _KerasFinder())
        return
    keras = import_module("keras")  # waits for another thread that imports it
    if hasattr(keras, "saving"):  # else it is Keras that imports us
        _register(keras)


def _register(keras: ModuleType) -> None:
    known = keras.saving.get_custom_objects()
    for name, place in CLASSES.items():
        known.setdefault(f"{PACKAGE}>{name}", StandIn(place))


class _KerasFinder(MetaPathFinder):
    """Finds Keras as Python would without it, registers the stand-ins once the module is executed, and is gone then."""

    _asking = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "keras" or self._asking:
            return None
        self._asking = True
        try:
            spec = find_spec(name)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
