from . import salient as salient
from . import scores as scores
from .keras_metrics import ConfusionMatrixMetric as ConfusionMatrixMetric
from .keras_metrics import DiceCoefficient as DiceCoefficient
from .keras_metrics import IoU as IoU
from .keras_metrics import MeanDice as MeanDice
from .keras_metrics import MeanIoU as MeanIoU
from .keras_metrics import PixelAccuracy as PixelAccuracy
