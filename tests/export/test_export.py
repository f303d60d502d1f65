"""Exported models: what a process without Keras gets from them, and what is stored."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver
from helpers.exports import TILE, net
from helpers.nets import noise, skip_the_graph, skip_the_process
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.tools import saved_model_cli

from keras_unet import export
from keras_unet.export import saved_model
from keras_unet.inference.tiling import predict

BARE = """
import sys
for name in ("keras", "tf_keras", "keras_unet"):
    sys.modules[name] = None
"""


def graph(folder):
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    return message.meta_graphs[0].graph_def


def test_a_process_without_keras_segments_as_predict_does(model, folder, tmp_path):
    image = noise(61, 43, 3)
    np.save(tmp_path / "image.npy", image[None])
    script = """
import numpy as np
try:
    import keras
    raise SystemExit("keras could be imported")
except ImportError:
    import tensorflow as tf
module = tf.saved_model.load(sys.argv[1])
image = tf.constant(np.load("image.npy"))
np.save("probabilities.npy", module.signatures["serving_default"](images=image)["probabilities"])
np.save("classes.npy", module.signatures["classes"](images=image)["classes"])
"""
    command = [sys.executable, "-c", BARE + script, folder]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert process.returncode == 0, process.stderr
    expected = predict(model, image, tile=TILE)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy")[0], expected, rtol=0, atol=1e-5)
    classes = np.load(tmp_path / "classes.npy")
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes[0], expected.argmax(axis=-1))


def test_saved_model_cli_runs_it(model, folder, tmp_path):
    image = noise(9, 30, 3)
    np.save(tmp_path / "image.npy", image[None])
    signature = ["--dir", str(folder), "--tag_set", "serve", "--signature_def", "serving_default"]
    files = ["--inputs", f"images={tmp_path / 'image.npy'}", "--outdir", str(tmp_path)]
    with flagsaver.flagsaver():
        flags.FLAGS(["saved_model_cli", *signature, *files])
        saved_model_cli.run()
    result = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(result[0], predict(model, image, tile=TILE), rtol=0, atol=1e-5)


def test_nothing_asks_for_xla_and_no_op_is_custom(folder):
    definition = graph(folder)
    functions = definition.library.function
    attributes = [function.attr for function in functions]
    nodes = [*definition.node, *(node for function in functions for node in function.node_def)]
    attributes += [node.attr for node in nodes]
    names = ("_XlaMustCompile", "jit_compile", "_XlaCompile")
    assert not any(attribute[name].b for attribute in attributes for name in names if name in attribute)
    calls = {function.signature.name for function in functions}
    assert len(nodes) > 100
    assert all(node.op in calls or op_def_registry.get(node.op) for node in nodes)
    assert not any("PyFunc" in node.op for node in nodes)


def test_only_what_inference_needs_is_stored(model, folder):
    stored = dict(tf.train.list_variables(str(folder / "variables" / "variables")))
    sizes = [int(np.prod(shape)) for name, shape in stored.items() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert sum(sizes) == model.count_params()
    assert len(sizes) == len(model.weights) < len(model.variables) + len(model.optimizer.variables)


def test_the_description_is_read_without_tensorflow(folder):
    script = "import sys, json; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
    script += "from keras_unet.export import read_description; print(json.dumps(read_description(sys.argv[1])))"
    process = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    description = json.loads(process.stdout)
    assert description["class_names"] == ["background", "cell", "border"]
    assert description["input"] == {"dtype": "uint8", "channels": 3, "value_range": [0.0, 2000.0]}
    assert description["tile"] == {"height": TILE, "width": TILE, "batch_size": 1}
    assert description["geometry"]["depth"] == 2
    assert description["metadata"] == {"um": 0.5}


def test_a_folder_without_description_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected a version folder"):
        export.read_description(tmp_path)


def test_the_proof_sees_agreement_and_the_lack_of_it(model, folder, monkeypatch):
    skip_the_process(monkeypatch)
    assert export.largest_difference(model, folder) < 1e-5
    assert export.largest_difference(net(seed=1), folder, [noise(9, 9, 3)]) > 1e-2


def test_a_model_that_fails_its_proof_gets_no_version(model, tmp_path, monkeypatch):
    skip_the_graph(monkeypatch)
    monkeypatch.setattr(saved_model, "compared", lambda *_: {"largest_difference": float("nan")})
    with pytest.raises(OSError, match="Expected the exported model to give the probabilities of predict"):
        export.save(model, tmp_path, tile=TILE)
    assert list(tmp_path.iterdir()) == []
