from . import geometry as geometry
from .unet import UNet as UNet
from .unet import load_model as load_model
