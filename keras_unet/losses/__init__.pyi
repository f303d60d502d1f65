from .crossentropy_dice import CrossentropyDice as CrossentropyDice
from .dice import Dice as Dice
from .weight_maps import border_term as border_term
from .weight_maps import class_weights_from_counts as class_weights_from_counts
from .weight_maps import separation_border as separation_border
from .weight_maps import weight_map as weight_map
from .weighted_crossentropy import WeightedCrossentropy as WeightedCrossentropy
