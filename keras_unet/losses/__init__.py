"""Losses of `(batch, height, width)` labels, with a weight for each pixel, and the weight maps of the U-Net paper."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
