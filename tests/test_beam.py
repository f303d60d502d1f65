"""Batch prediction on Apache Beam, on the local runner, against the same images segmented in memory."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.nets import exported, noise
from helpers.nets import net as any_net
from PIL import Image

import keras_unet as ku
from keras_unet.image_io.image_files import read_image

beam = pytest.importorskip("apache_beam")
testing = pytest.importorskip("apache_beam.testing.util")

from apache_beam.ml.inference.base import RunInference  # noqa: E402

from keras_unet.export.beam import SegmentationHandler, segment_files  # noqa: E402


@pytest.fixture(scope="module")
def net():
    return any_net(num_classes=3, depth=1)


@pytest.fixture(scope="module")
def model(net):
    return str(exported(net, tile=76, input_dtype="uint8"))


def local_pipeline():
    return beam.Pipeline(runner="FnApiRunner")


@pytest.mark.slow
def test_handler_gives_the_probabilities_of_predict_for_every_size(net, model):
    images = [noise(*shape, 1, seed=number) for number, shape in enumerate([(5, 7), (90, 33), (64, 64)])]
    expected = [ku.predict(net, image, tile=76) for image in images]

    def check(results):
        found = {result.example.shape: result.inference for result in results}
        for image, probabilities in zip(images, expected, strict=True):
            np.testing.assert_allclose(found[image.shape], probabilities, atol=1e-5)

    with local_pipeline() as pipeline:
        results = pipeline | beam.Create(images) | RunInference(SegmentationHandler(model, "probabilities"))
        testing.assert_that(results, check)


@pytest.mark.slow
def test_files_become_label_images_and_bad_ones_are_told(net, model, tmp_path):
    images = {"a.tif": noise(40, 50), "b.png": noise(33, 70, seed=1)}
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    tifffile.imwrite(scans / "a.tif", images["a.tif"])
    Image.fromarray(images["b.png"]).save(scans / "b.png")
    (scans / "torn.png").write_bytes((scans / "b.png").read_bytes()[:200])
    tifffile.imwrite(scans / "deep.tif", noise(20, 20, dtype="uint16"))
    tifffile.imwrite(scans / "coloured.tif", noise(20, 20, 3), photometric="rgb")

    def check_failed(failed):
        sentences = {Path(path).name: sentence for path, sentence in failed}
        assert sorted(sentences) == ["coloured.tif", "deep.tif", "torn.png"]
        assert sentences["torn.png"].startswith(f"{scans / 'torn.png'}: expected a complete image")
        assert sentences["deep.tif"] == "Expected uint8 pixels as chosen at export. Received uint16."
        assert sentences["coloured.tif"].startswith("Expected images of shape (batch, height, width, 1)")

    with local_pipeline() as pipeline:
        segmented = segment_files(pipeline, str(scans / "*"), model, str(out))
        names = segmented.written | beam.Map(os.path.basename)
        testing.assert_that(names, testing.equal_to(["a_labels.png", "b_labels.png"]), label="written")
        testing.assert_that(segmented.failed, check_failed, label="failed")
    assert sorted(path.name for path in out.iterdir()) == ["a_labels.png", "b_labels.png"]
    for name, image in images.items():
        labels = read_image(out / f"{Path(name).stem}_labels.png")[..., 0]
        np.testing.assert_array_equal(labels, ku.predict(net, image, tile=76).argmax(-1))


def test_output_that_no_model_has_is_refused(model):
    with pytest.raises(ValueError, match=r"Expected an output among classes, probabilities\. Received 'logits'"):
        SegmentationHandler(model, "logits")
