"""Networks: the U-Net, its blocks and geometry, its initial weights, and models read from files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
