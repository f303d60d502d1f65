"""Client of a served U-Net: images of any size in, classes and foreground probabilities out. No TensorFlow needed.

from keras_unet.export.client import Client

with Client("http://localhost:8501", "cells") as client:
    result = client.segment("image.tif")
"""

from .errors import RefusedError, ServerError
from .formats import Segmentation
from .serving_client import Client

__all__ = ["Client", "RefusedError", "Segmentation", "ServerError"]
