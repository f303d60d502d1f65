"""U-Nets as SavedModels for TensorFlow Serving. Installed as `keras_unet.export`; TensorFlow is loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ == "export":
    # A second copy of the modules under this name would hold a second copy of every class.
    raise ImportError("Import keras_unet.export instead of export: the folder is part of the package keras_unet.")

_NAMES = {
    "save": "saved_model",
    "largest_difference": "proof",
    "segment_without_keras": "proof",
    "read_description": "description",
    "sentence": "messages",
}

__all__ = ["largest_difference", "read_description", "save", "segment_without_keras", "sentence"]

if TYPE_CHECKING:
    from .description import read_description
    from .messages import sentence
    from .proof import largest_difference, segment_without_keras
    from .saved_model import save


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    return globals()[name]
