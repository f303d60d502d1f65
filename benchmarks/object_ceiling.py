"""What object finding would reach with a perfect net: SEG and DET with the training target as probabilities.

For each data set with instances, the classes that training teaches (foreground with the separation border cut) are
taken as probabilities 0 and 1, objects are found by some settings and compared with the ground truth they came from.
Needs the data sets of docs/datasets.md, in the folder that KERAS_UNET_DATA names; those that are absent are left out.

    python benchmarks/object_ceiling.py
"""

import os
from pathlib import Path

from keras_unet import challenge, datasets
from keras_unet.datasets import LabelledImages
from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.instances.instance_settings import InstanceSettings

SETTINGS = {
    "default": InstanceSettings(),
    "no expansion": InstanceSettings(expand=0),
    "gaps of 1 pixel": InstanceSettings(expand=1),
    "gaps up to 4": InstanceSettings(expand=4),
}


def published(root: Path) -> dict[str, LabelledImages]:
    """Data sets with instances by name, as far as they are there."""
    found = {"synthetic": datasets.load("synthetic", count=8)}
    for name in ("PhC-C2DL-PSC", "Fluo-N2DL-HeLa", "DIC-C2DH-HeLa"):
        for truth, folder in (("gold", "01_GT"), ("silver", "01_ST")):
            frames = sorted(
                int(mask.stem.removeprefix("man_seg")) for mask in (root / name / folder / "SEG").glob("*.tif")
            )
            if frames:
                found[f"{name}, {truth}"] = datasets.load("cell_tracking", root / name, truth=truth, frames=frames)
    if (root / "dsb2018").is_dir():
        found["dsb2018"] = datasets.load("dsb2018", root / "dsb2018")
    return found


def ceiling(data: LabelledImages, settings: InstanceSettings) -> tuple[float, float, int]:
    """SEG and DET of the training target, and how many objects the ground truth has."""
    truths, results = [], []
    for sample in data:
        objects = true_objects(sample.labels, data.kind, data.ignore_label)
        if objects.any():
            truths.append(objects)
            target = true_classes(sample.labels, data.kind, data.ignore_label)
            results.append(settings.find((target == 1).astype("float32")))
    count = sum(len(set(ids[ids > 0].tolist())) for ids in truths)
    return challenge.seg_measure(truths, results), challenge.det_measure(truths, results), count


def main() -> None:
    root = Path(os.environ.get("KERAS_UNET_DATA", "../shared/data"))
    print("| data set | objects | " + " | ".join(f"{name}: SEG, DET" for name in SETTINGS) + " |")
    print("|---|" + "---|" * (len(SETTINGS) + 1))
    for name, data in published(root).items():
        scores = [ceiling(data, settings) for settings in SETTINGS.values()]
        row = " | ".join(f"{seg:.4f}, {det:.4f}" for seg, det, _ in scores)
        print(f"| {name} | {scores[0][2]} | {row} |", flush=True)


if __name__ == "__main__":
    main()
