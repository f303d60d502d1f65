from . import augment as augment
from . import challenge as challenge
from . import datasets as datasets
from . import export as export
from . import image_io as image_io
from . import inference as inference
from . import instances as instances
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import pipeline as pipeline
from . import preprocessing as preprocessing
from . import training as training
from . import utils as utils
from . import visualization as visualization
from .inference.streaming.streamed_prediction import predict_file as predict_file
from .inference.tiling import predict as predict
from .losses.crossentropy_dice import CrossentropyDice as CrossentropyDice
from .losses.dice import Dice as Dice
from .losses.weight_maps import separation_border as separation_border
from .losses.weight_maps import weight_map as weight_map
from .losses.weighted_crossentropy import WeightedCrossentropy as WeightedCrossentropy
from .models import geometry as geometry
from .models.unet import UNet as UNet
from .models.unet import load_model as load_model
from .preprocessing.image_statistics import pixel_statistics as pixel_statistics

__version__: str
