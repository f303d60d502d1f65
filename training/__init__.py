"""Training: configuration, the loop, checkpoints and evaluation. Import name: `keras_unet.training`.

from keras_unet import training

report = training.run(training.load_config("synthetic"), "run")
"""

if __name__ == "training":
    # A second copy of the modules under this name would register every Keras class twice.
    raise ImportError("Import keras_unet.training instead of training: the folder is part of the package keras_unet.")

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
