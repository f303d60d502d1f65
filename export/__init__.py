"""U-Nets as SavedModels for TensorFlow Serving. Installed as `keras_unet.export`; TensorFlow is loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "keras_unet.export":
    raise ImportError(f"Import this room as keras_unet.export. Received {__name__!r}, which would load it twice.")

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
