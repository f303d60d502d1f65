"""U-Net for TensorFlow: train on few images, segment images of any size, serve with TensorFlow Serving.

Names are loaded on first use, so that importing the package costs next to nothing:

    import keras_unet as ku

    model = ku.UNet(input_shape=(572, 572, 1), num_classes=2)
    model.compile(optimizer="adam", loss=ku.WeightedCrossentropy())
"""

import lazy_loader

from keras_unet.models.keras_registration import register_when_keras_is_imported

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

register_when_keras_is_imported()
del lazy_loader, register_when_keras_is_imported
