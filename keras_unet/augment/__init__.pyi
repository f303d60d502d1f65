from .augmentation_settings import AugmentationSettings as AugmentationSettings
from .gray_values import vary_gray_values as vary_gray_values
from .random_draws import Draw as Draw
from .random_draws import draw as draw
from .tile_augmenter import TileAugmenter as TileAugmenter
from .tile_augmenter import elastic_deformation as elastic_deformation
