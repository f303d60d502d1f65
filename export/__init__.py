"""U-Nets as SavedModels for TensorFlow Serving. Installed as `keras_unet.export`; TensorFlow is loaded on first use."""

if __name__ == "export":
    # A second copy of the modules under this name would hold a second copy of every class.
    raise ImportError("Import keras_unet.export instead of export: the folder is part of the package keras_unet.")

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
