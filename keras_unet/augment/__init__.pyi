from .tile_augmenter import TileAugmenter as TileAugmenter
from .tile_augmenter import elastic_deformation as elastic_deformation
from .variation import AugmentationSettings as AugmentationSettings
from .variation import Draw as Draw
from .variation import draw as draw
from .variation import vary_gray_values as vary_gray_values
