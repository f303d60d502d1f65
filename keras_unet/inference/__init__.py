"""Prediction of images of any size by overlapping tiles: in memory, and from file to file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
