"""One exported folder, several runtimes: each gives what `predict` gives, on awkward sizes."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from consumers import c_program, examples
from helpers.nets import loaded

from keras_unet import export

INVALID_ARGUMENT, OUT_OF_RANGE, INTERNAL = 3, 11, 13  # of tf_status.h
OUTPUTS = {"serving_default": "probabilities", "classes": "classes"}


@pytest.fixture(scope="module", params=examples.NETS)
def example(request):
    return examples.example(request.param)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if reason := c_program.missing():
        pytest.skip(reason)
    return c_program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def runs(program, example):
    """A process per signature that is asked for wrong images first."""
    images = [*examples.wrong_images(example.channels, example.dtype).values(), *example.images]
    return {
        signature: c_program.segment(program, example.folder, signature, images, output)
        for signature, output in OUTPUTS.items()
    }


def test_tensorflow_gives_what_predict_gives(example):
    signatures = loaded(example.folder).signatures
    for signature, output in OUTPUTS.items():
        answers = [signatures[signature](images=tf.constant(image))[output].numpy() for image in example.images]
        example.check(output, answers)


@pytest.mark.slow
@pytest.mark.parametrize(("signature", "output"), OUTPUTS.items())
def test_a_c_program_gives_what_predict_gives(example, runs, signature, output):
    example.check(output, runs[signature].answers[-len(example.images) :])


@pytest.mark.slow
@pytest.mark.parametrize("signature", OUTPUTS)
def test_a_c_program_gets_a_sentence_for_wrong_images_and_lives_on(example, runs, signature):
    refusals = runs[signature].answers[: -len(example.images)]
    assert {refusal.code for refusal in refusals} == {INVALID_ARGUMENT}
    expected = f"Expected images of shape (batch, height, width, {example.channels}) with at least one pixel."
    received = examples.wrong_images(example.channels, example.dtype)
    assert [export.sentence(refusal.message) for refusal in refusals] == [
        f"{expected} Received shape ({shape})." for shape in received
    ]
    assert runs[signature].exit_status == 1


@pytest.mark.slow
def test_a_c_program_sends_files_and_gets_files(program, example):
    files = [b"no image", *example.files()]
    run = c_program.segment(program, example.folder, "image_bytes", files, "label_png_bytes")
    refusal, *labels = run.answers
    assert refusal.code == INVALID_ARGUMENT
    assert export.sentence(refusal.message) == "Expected an encoded PNG or JPEG image. Received other bytes."
    example.check_label_files(labels)


@pytest.mark.slow
def test_a_c_program_is_told_of_a_torn_file(program, example, tmp_path):
    folder = shutil.copytree(example.folder, tmp_path / "1")
    weights = folder / "variables" / "variables.data-00000-of-00001"
    os.truncate(weights, weights.stat().st_size // 2)
    with pytest.raises(RuntimeError, match=rf"exit status 1 and: {OUT_OF_RANGE} "):
        c_program.segment(program, folder, "classes", example.images[:1], "classes")


@pytest.mark.slow
def test_a_c_program_is_refused_a_graph_that_asks_for_xla(program, tmp_path):
    """Else it would prove nothing about TensorFlow Serving, which by default compiles nothing."""
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x}, [tf.TensorSpec([None], tf.float32)], jit_compile=True)
    tf.saved_model.save(module, str(tmp_path), signatures=module.double)
    run = c_program.segment(program, tmp_path, "serving_default", [np.ones(3, np.float32)], "y")
    (refusal,) = run.answers
    assert refusal.code == INTERNAL
    assert "XLA compilation disabled" in refusal.message


@pytest.mark.parametrize("count", [3, pytest.param(None, marks=pytest.mark.slow)], ids=["few", "all"])
def test_openvino_gives_the_probabilities_of_predict(example, count):
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(example.folder)
    model.reshape([-1, -1, -1, example.channels])  # its CPU plug-in wants to know the rank
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    asked = example.first(count)
    asked.check("probabilities", [compiled(image)["probabilities"] for image in asked.images])
