"""Do the border weights of equation 2 separate touching cells? Two equal nets, with and without the border term.

    python benchmarks/border_weights.py [--seeds 0 1 2] [--steps 600]

Both nets see the same tiles in the same order from the same initial weights, with balanced classes; they differ in w0
alone. Reported: of the pairs of cells that touch in unseen images, the share whose cells are both matched
(IoU > 0.5) to different objects, and the ratio of the two. About 6 minutes for three seeds on two CPU cores.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import keras_unet as ku
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.datasets.base import LabelledImages
from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.instances.components import instances
from keras_unet.instances.matching import separated_pairs
from keras_unet.pipeline.examples import prepare
from keras_unet.pipeline.tile_datasets import training_dataset

TILE = 204  # input pixels; 164 come out of a valid net of depth 2
BATCH = 2
UNSEEN_SEED = 500_000


def train(data: LabelledImages, w0: float, seed: int, steps: int) -> ku.UNet:
    keras.utils.set_random_seed(seed)
    model = ku.UNet((None, None, 1), num_classes=2, filters=8, depth=2, dropout=0.0, value_range=data.value_range)
    tiles = training_dataset(
        prepare(data, w0=w0, class_weights="balanced"),
        model.geometry,
        TILE,
        settings=AugmentationSettings(),
        batch_size=BATCH,
        seed=seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=ku.WeightedCrossentropy())
    model.fit(tiles, steps_per_epoch=steps, verbose=0)
    return model


def share_separated(model: ku.UNet, data: LabelledImages) -> float:
    counts = []
    for sample in data:
        found = instances(ku.predict(model, sample.image)[..., 1], min_size=60, expand=2)
        counts.append(separated_pairs(sample.labels, found))
    return sum(separated for separated, _ in counts) / sum(pairs for _, pairs in counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600)
    arguments = parser.parse_args()
    print(f"{'seed':>4} {'without border term':>20} {'with (w0 = 10)':>15} {'ratio':>6}")
    for seed in arguments.seeds:
        data, unseen = synthetic(8, 256, seed=seed), synthetic(4, 512, seed=UNSEEN_SEED + seed)
        without, with_border = (share_separated(train(data, w0, seed, arguments.steps), unseen) for w0 in (0.0, 10.0))
        ratio = with_border / without if without else float("inf")
        print(f"{seed:>4} {without:>20.1%} {with_border:>15.1%} {ratio:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
