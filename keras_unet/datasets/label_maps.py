"""What the labels of a data set say of each pixel: its class, and the object it belongs to. No TensorFlow."""

import numpy as np
from numpy.typing import NDArray

from keras_unet.datasets.base import Kind
from keras_unet.instances.components import class_components
from keras_unet.losses.weight_maps import separation_border

Labels = NDArray[np.int32]


def true_classes(labels: Labels, kind: Kind, ignore_label: int | None) -> Labels:
    """Class of each pixel, `(height, width)`; of instances foreground (1) with the separation border cut (0).

    Args:
        labels: `(height, width)` classes or instance ids.
        kind: Which of them.
        ignore_label: Label of the pixels to leave out, which keep it, or None.
    """
    if kind == "classes":
        return labels
    classes = (separation_border(true_objects(labels, kind, ignore_label)) > 0).astype(np.int32)
    return classes if ignore_label is None else np.where(labels == ignore_label, labels, classes)


def true_objects(labels: Labels, kind: Kind, ignore_label: int | None) -> Labels:
    """Object id of each pixel, `(height, width)`, 0 for background: given, or the components of each class but 0.

    Arguments as `true_classes`; ignored pixels are background.
    """
    if ignore_label is not None:
        labels = np.where(labels == ignore_label, 0, labels)
    return labels if kind == "instances" else class_components(labels)
