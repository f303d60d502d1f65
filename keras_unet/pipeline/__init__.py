"""From labelled images to the tf.data pipelines that training and validation take."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
