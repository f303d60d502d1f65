"""Metrics: Keras' streaming ones, those of whole data sets with and without TensorFlow, and their tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
