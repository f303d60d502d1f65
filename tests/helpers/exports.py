"""What tests of export share: a net, the tile that it is exported with, and images of noise."""

import keras
import numpy as np

from keras_unet.unet import UNet

TILE = 68  # of the net below: 24 pixels of progress


def net(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    arguments = {"input_shape": (None, None, 3), "num_classes": 3, "filters": 2, "depth": 2, "value_range": (0, 2000)}
    return UNet(**{**arguments, **changes})


def noise(shape, channels=3):
    return np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
