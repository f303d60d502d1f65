"""Arguments, folders and models that export refuses before anything is written."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.exports import TILE, net

from keras_unet import export
from keras_unet.export import saved_model, version_folders


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": 69}, r"Expected a tile height of .* Nearest legal: 68 or 72"),
        ({"batch_size": 0}, "Expected a whole number of at least 1 for the batch size"),
        ({"input_dtype": "int64"}, "Expected an input dtype among float32, uint8, uint16, int16"),
        ({"class_names": ["cell"]}, "Expected 3 class names, background first"),
        ({"class_names": "abc"}, "none empty and no two alike. Received 'abc'"),
        ({"class_names": ["sky", "tree", "tree"]}, "no two alike"),
        ({"class_names": ["sky", "tree", " "]}, "none empty"),
        ({"class_names": ["sky", "tree", 3]}, "Expected 3 class names"),
        ({"batch_size": 2.0}, r"the batch size in tiles. Received 2\.0"),
        ({"metadata": {"x": object()}}, "Expected metadata that JSON can hold"),
        ({"metadata": {"x": float("nan")}}, "Expected metadata that JSON can hold"),
        ({"metadata": {"x": "\udcff"}}, "Expected metadata that JSON can hold"),
        ({"metadata": [1]}, r"Expected a mapping for metadata\. Received \[1\]"),
        ({"metadata": {"threshold": "a"}}, r"Expected a number for the threshold in metadata\. Received 'a'"),
        ({"metadata": {"threshold": True}}, "Expected a number for the threshold"),
        ({"metadata": {"threshold": float("nan")}}, r"Expected a threshold in \[0, 1\]"),
        ({"class_names": ["sky", "tree", "\udcff"]}, "Expected class names that are text"),
        ({"version": 0}, "Expected a version number of at least 1"),
        ({"version": 2**63}, "at most 9223372036854775807. Received 9223372036854775808"),
        ({"version": 1.0}, r"Expected a version number .* Received 1\.0"),
        ({"max_pixels": 2**63}, "Expected max_pixels of at most 9223372036854775807"),
        ({"max_pixels": 0}, "Expected a whole number of at least 1 for max_pixels"),
        ({"warm_up": 5}, "Expected pairs of height and width for warm_up. Received 5"),
        ({"warm_up": [(3,)]}, r"Expected pairs of height and width for warm_up. Received \[\(3,\)\]"),
        ({"warm_up": [(0, 3)]}, "Expected a whole number of at least 1 for warm_up. Received 0"),
        ({"warm_up": [(30000, 30000)]}, "Expected warm_up of images below 2 GiB. Received 30000 x 30000 pixels of 12"),
        ({"tile": 2**20}, "Expected a tile of images below 2 GiB"),
        ({"tile": 2**20, "warm_up": ()}, "Expected a tile of images below 2 GiB"),
        ({"tile": 2**40, "warm_up": (), "verify": False}, "Expected a tile and batch_size of at most 1073741824"),
        ({"batch_size": 2**40}, "Expected a tile and batch_size of at most 1073741824"),
    ],
)
def test_illegal_arguments_are_refused_and_nothing_is_written(model, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        export.save(model, tmp_path / "new", **changes)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["q[x]", "q[", "a\\b", "\udcff"])
def test_a_folder_that_tensorflow_would_not_load_from_is_refused(model, tmp_path, name):
    with pytest.raises(ValueError, match="Expected a folder w"):
        export.save(model, tmp_path / name / "cells", tile=TILE, verify=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["q]", "q*s", "q?z", "{a,b}", "q x", "~ü😀", "q\nl", "a%20'\""])
def test_an_odd_folder_loads(tmp_path, name):
    base = version_folders.version_folder(tmp_path / name, version_folders.chosen_version(tmp_path / name, np.int64(3)))
    with base as folder:
        tf.saved_model.save(tf.Module(), str(folder))
    tf.saved_model.load(str(tmp_path / name / "3"))


@pytest.mark.parametrize("place", ["file/cells", "closed/cells"])
def test_a_folder_that_cannot_be_is_told_before_the_work(model, tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o555)
    if place.startswith("closed") and os.access(tmp_path / "closed", os.W_OK):
        pytest.skip("no folder is closed to this user")
    monkeypatch.setattr(saved_model, "module_with_signatures", None)
    with pytest.raises(OSError, match=place.split("/")[0]):
        export.save(model, tmp_path / place, tile=TILE, verify=False)


@pytest.mark.parametrize("version", [None, 1])
def test_a_file_where_the_version_should_go_is_told_before_the_work(model, tmp_path, version):
    (tmp_path / "1").write_text("mine")
    with pytest.raises(FileExistsError, match=r"Expected room for .* version 1\. Received .*/1', which is a file"):
        export.save(model, tmp_path, version)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_models_that_have_no_uint8_label_map_or_are_no_unet_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected at most 255 classes"):
        export.save(net(num_classes=256), tmp_path)
    with pytest.raises(ValueError, match=r"Expected a keras_unet\.UNet\. Received a Sequential"):
        export.save(keras.Sequential(), tmp_path)
