"""Instance segmentation: from foreground probabilities to numbered objects, and objects matched to one another.

Plain arrays throughout: `(height, width)`, integer ids, 0 for background. No TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
