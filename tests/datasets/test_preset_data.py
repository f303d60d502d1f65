"""The presets' data: what they train on, and what they validate on."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from keras_unet.training.config import load_config
from keras_unet.training.data_split import load_data, split


@pytest.mark.parametrize("preset", ["dic-hela", "dic-hela-small"])
def test_presets_validate_on_gold_frames_that_they_do_not_train_on(real_data, preset):
    settings = load_config(preset, [f"data.path={real_data / 'DIC-C2DH-HeLa'}"]).data
    parts = split(load_data(settings), settings)
    assert [Path(name).stem for name in parts.train.names] == [f"t{number:03d}" for number in range(35)]
    assert parts.validate is not None
    for sample in parts.validate:
        gold = Path(sample.name).parents[1] / "01_GT" / "SEG" / Path(sample.name).name.replace("t", "man_seg", 1)
        np.testing.assert_array_equal(sample.labels.clip(0), tifffile.imread(gold))


def test_preset_of_phase_contrast_learns_from_silver_and_is_judged_by_gold(real_data):
    settings = load_config("phc", [f"data.path={real_data / 'PhC-C2DL-PSC'}"]).data
    parts = split(load_data(settings), settings)
    assert [Path(name).stem for name in parts.train.names] == [f"t{number}" for number in range(150, 251, 10)]
    assert parts.validate is not None
    assert [Path(name).stem for name in parts.validate.names] == ["t098", "t122"]
    for part, truth in ((parts.train, "01_ST"), (parts.validate, "01_GT")):
        for sample in part:
            mask = Path(sample.name).parents[1] / truth / "SEG" / Path(sample.name).name.replace("t", "man_seg", 1)
            np.testing.assert_array_equal(sample.labels.clip(0), tifffile.imread(mask))


def test_preset_of_nuclei_keeps_a_fifth_of_the_images_for_validation(nuclei):
    settings = load_config("dsb2018-small", [f"data.path={nuclei(6)}"]).data
    parts = split(load_data(settings), settings)
    assert parts.validate is not None
    assert (len(parts.train), len(parts.validate)) == (4, 2)
    assert not set(parts.train.names) & set(parts.validate.names)
