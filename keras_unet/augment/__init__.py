"""Augmentation as TensorFlow ops: elastic deformation, rotation, shift, flips, scale and gray values, in one warp."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
