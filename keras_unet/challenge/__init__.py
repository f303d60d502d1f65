"""The challenges' own metrics, on NumPy arrays, and their result files.

ISBI 2012 EM segmentation challenge: `warping_error`, `rand_error`, `pixel_error`; the later scores `v_rand`, `v_info`.
Cell Tracking Challenge: `seg_measure`, `det_measure`, and of its folders `seg_of_sequence`, `det_of_sequence`.
Result files: `write_em_stack` for the former; `write_mask` and `mask_names` for the latter.
"""

from keras_unet.challenge.det import DetectionErrors, det_measure, detection_errors
from keras_unet.challenge.pixel import pixel_error
from keras_unet.challenge.rand import rand_error, rand_f_score
from keras_unet.challenge.result_files import mask_names, write_em_stack, write_mask
from keras_unet.challenge.seg import object_jaccards, seg_measure
from keras_unet.challenge.sequences import det_of_sequence, seg_of_sequence
from keras_unet.challenge.split_merge import (
    ScoreCurve,
    SplitMerge,
    information_scores,
    rand_scores,
    v_info,
    v_rand,
)
from keras_unet.challenge.stacks import THRESHOLDS
from keras_unet.challenge.warping import warping_error

__all__ = [
    "THRESHOLDS",
    "DetectionErrors",
    "ScoreCurve",
    "SplitMerge",
    "det_measure",
    "det_of_sequence",
    "detection_errors",
    "information_scores",
    "mask_names",
    "object_jaccards",
    "pixel_error",
    "rand_error",
    "rand_f_score",
    "rand_scores",
    "seg_measure",
    "seg_of_sequence",
    "v_info",
    "v_rand",
    "warping_error",
    "write_em_stack",
    "write_mask",
]
