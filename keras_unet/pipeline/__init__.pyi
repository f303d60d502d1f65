from .examples import ClassWeights as ClassWeights
from .examples import Example as Example
from .examples import class_balance as class_balance
from .examples import prepare as prepare
from .shard_writer import write_shards as write_shards
from .tile_datasets import tile_warp as tile_warp
from .tile_datasets import training_dataset as training_dataset
from .tile_datasets import validation_dataset as validation_dataset
