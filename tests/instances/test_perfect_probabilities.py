"""With the training target as probabilities the default settings find nearly all objects as they are."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_unet import challenge, datasets
from keras_unet.datasets import LabelledImages
from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.instances.instance_settings import InstanceSettings

DATA = Path(os.environ.get("KERAS_UNET_DATA", Path(__file__).parents[3] / "shared" / "data"))


def seg_of_target(data: LabelledImages, settings: InstanceSettings) -> float:
    truths = [true_objects(sample.labels, data.kind, data.ignore_label) for sample in data]
    targets = [true_classes(sample.labels, data.kind, data.ignore_label) == 1 for sample in data]
    return challenge.seg_measure(truths, [settings.find(target.astype(np.float32)) for target in targets])


def test_of_generated_cells() -> None:
    data = datasets.load("synthetic", count=2)
    assert seg_of_target(data, InstanceSettings()) >= 0.98
    assert seg_of_target(data, InstanceSettings(expand=0)) < 0.97, "closing the separation border is worth something"


@pytest.mark.parametrize(
    "name", ["PhC-C2DL-PSC", "Fluo-N2DL-HeLa", "DIC-C2DH-HeLa", pytest.param("dsb2018", marks=pytest.mark.slow)]
)
def test_of_published_data(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is absent")
    reader = "dsb2018" if name == "dsb2018" else "cell_tracking"
    assert seg_of_target(datasets.load(reader, DATA / name), InstanceSettings()) >= 0.98
