"""U-Net for TensorFlow: train on few images, segment images of any size, serve with TensorFlow Serving.

Names are loaded on first use, so that importing the package costs next to nothing:

    import keras_unet as ku

    model = ku.UNet(input_shape=(572, 572, 1), num_classes=2)
    model.compile(optimizer="adam", loss=ku.WeightedCrossentropy())
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_NAMES = {
    "UNet": "models.unet",
    "load_model": "models.unet",
    "WeightedCrossentropy": "losses.weighted_crossentropy",
    "Dice": "losses.dice",
    "CrossentropyDice": "losses.crossentropy_dice",
    "weight_map": "losses.weight_maps",
    "separation_border": "losses.weight_maps",
    "geometry": "models",
    "pixel_statistics": "preprocessing.image_statistics",
    "predict": "inference.tiling",
    "predict_file": "inference.streaming.streamed_prediction",
}
_MODULES = (
    "augment",
    "challenge",
    "datasets",
    "export",
    "image_io",
    "inference",
    "instances",
    "losses",
    "metrics",
    "models",
    "pipeline",
    "training",
    "visualization",
)

__all__ = ["__version__", *_MODULES, *_NAMES]

if TYPE_CHECKING:
    from keras_unet.inference.streaming.streamed_prediction import predict_file as predict_file
    from keras_unet.inference.tiling import predict as predict
    from keras_unet.losses.crossentropy_dice import CrossentropyDice as CrossentropyDice
    from keras_unet.losses.dice import Dice as Dice
    from keras_unet.losses.weight_maps import separation_border as separation_border
    from keras_unet.losses.weight_maps import weight_map as weight_map
    from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy as WeightedCrossentropy
    from keras_unet.models.unet import UNet as UNet
    from keras_unet.models.unet import load_model as load_model
    from keras_unet.preprocessing.image_statistics import pixel_statistics as pixel_statistics


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f"keras_unet.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"keras_unet.{name}")
    else:
        raise AttributeError(f"module 'keras_unet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Holds the modules of `__all__` alone: Python would add every module of the package that is ever imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in __all__ or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, as pickling libraries do with plain modules."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
import_module("keras_unet.models.keras_registration").register_when_keras_is_imported()
