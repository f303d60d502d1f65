"""The challenges' own metrics, on NumPy arrays.

ISBI 2012 EM segmentation challenge: `warping_error`, `rand_error`, `pixel_error`.
Cell Tracking Challenge: `seg_measure`.
"""

from keras_unet.challenge.pixel import pixel_error
from keras_unet.challenge.rand import rand_error, rand_f_score
from keras_unet.challenge.seg import object_jaccards, seg_measure
from keras_unet.challenge.stacks import THRESHOLDS
from keras_unet.challenge.warping import warping_error

__all__ = [
    "THRESHOLDS",
    "object_jaccards",
    "pixel_error",
    "rand_error",
    "rand_f_score",
    "seg_measure",
    "warping_error",
]
