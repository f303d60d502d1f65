"""Exported models: what a process without Keras gets from them, and what a broken export leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from keras_unet import export
from keras_unet.export import saved_model, versions
from keras_unet.tiling import predict
from keras_unet.unet import UNet

ROOT = Path(__file__).parents[1]
TILE = 68  # of the net below: 24 pixels of progress

BARE = """
import sys
for name in ("keras", "tf_keras", "keras_unet"):
    sys.modules[name] = None
"""


def net(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    arguments = {"input_shape": (None, None, 3), "num_classes": 3, "filters": 2, "depth": 2, "value_range": (0, 2000)}
    return UNet(**{**arguments, **changes})


def noise(shape, channels=3):
    return np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)


@pytest.fixture(scope="module")
def model():
    model = net()
    model.compile(optimizer="adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    names = ("background", "cell", "border")
    base = tmp_path_factory.mktemp("models") / "cells"
    return export.save(
        model, base, tile=TILE, input_dtype="uint8", class_names=names, metadata={"um": 0.5}, verify=False
    )


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(str(folder))


def graph(folder):
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    return message.meta_graphs[0].graph_def


def bare_python(script, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", BARE + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_a_process_without_keras_segments_as_predict_does(model, folder, tmp_path):
    image = noise((61, 43))
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
    process = bare_python(script, folder, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    expected = predict(model, image, tile=TILE)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy")[0], expected, rtol=0, atol=1e-5)
    classes = np.load(tmp_path / "classes.npy")
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes[0], expected.argmax(axis=-1))


def test_saved_model_cli_runs_it(model, folder, tmp_path):
    image = noise((9, 30))
    np.save(tmp_path / "image.npy", image[None])
    script = (
        "from tensorflow.python.tools import saved_model_cli; sys.argv[0] = 'saved_model_cli'; saved_model_cli.main()"
    )
    signature = ["--tag_set", "serve", "--signature_def", "serving_default"]
    files = ["--inputs", "images=image.npy", "--outdir", tmp_path]
    process = bare_python(script, "run", "--dir", folder, *signature, *files, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    result = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(result[0], predict(model, image, tile=TILE), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "received"),
    [
        ((), ""),
        ((7,), "7"),
        ((5, 5), "5, 5"),
        ((5, 6, 3), "5, 6, 3"),
        ((1, 2, 5, 6, 3), "1, 2, 5, 6, 3"),
        ((1, 5, 6, 1), "1, 5, 6, 1"),
        ((2, 0, 6, 3), "2, 0, 6, 3"),
        ((2, 6, 0, 3), "2, 6, 0, 3"),
    ],
)
@pytest.mark.parametrize("signature", ["serving_default", "classes"])
def test_wrong_shapes_answer_invalid_argument_with_one_sentence(loaded, signature, shape, received):
    segment = loaded.signatures[signature]
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        segment(images=tf.zeros(shape, tf.uint8))
    assert export.sentence(refused.value.message) == (
        f"Expected images of shape (batch, height, width, 3) with at least one pixel. Received shape ({received})."
    )
    assert segment(images=tf.zeros((1, 5, 6, 3), tf.uint8))  # the next good request is answered


def test_an_empty_batch_gives_an_empty_answer(loaded):
    images = tf.zeros((0, 5, 6, 3), tf.uint8)
    assert loaded.signatures["serving_default"](images=images)["probabilities"].shape == (0, 5, 6, 3)
    assert loaded.signatures["classes"](images=images)["classes"].shape == (0, 5, 6)


def test_an_image_has_the_same_bits_alone_and_in_a_batch(loaded):
    segment = loaded.signatures["serving_default"]
    images = tf.constant(np.random.default_rng(1).integers(0, 256, (2, 50, 41, 3), np.uint8))
    together = segment(images=images)["probabilities"]
    for index in (0, 1):
        alone = segment(images=images[index : index + 1])["probabilities"]
        np.testing.assert_array_equal(together[index], alone[0])


def test_one_logit_is_class_1_above_one_half_and_float_images_must_be_finite(tmp_path):
    model = net(num_classes=1)
    signatures = tf.saved_model.load(str(export.save(model, tmp_path, tile=TILE, verify=False))).signatures
    image = noise((20, 33)).astype(np.float32)
    expected = predict(model, image, tile=TILE)
    assert 0.1 < (expected > 0.5).mean() < 0.9
    result = signatures["classes"](images=tf.constant(image[None]))["classes"]
    np.testing.assert_array_equal(result[0], expected[..., 0] > 0.5)
    for value in (np.nan, np.inf):
        image[3, 4, 0] = value
        with pytest.raises(tf.errors.InvalidArgumentError) as refused:
            signatures["serving_default"](images=tf.constant(image[None]))
        assert export.sentence(refused.value.message) == "Expected finite pixel values. Received NaN or infinity."


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


def test_the_proof_sees_agreement_and_the_lack_of_it(model, folder):
    assert export.largest_difference(model, folder) < 1e-5
    assert export.largest_difference(net(seed=1), folder, [noise((9, 9))]) > 1e-2


def test_a_model_that_fails_its_proof_gets_no_version(model, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "compared", lambda *_: {"largest_difference": float("nan")})
    with pytest.raises(OSError, match="Expected the exported model to give the probabilities of predict"):
        export.save(model, tmp_path, tile=TILE)
    assert list(tmp_path.iterdir()) == []


def test_versions_count_up_and_an_existing_one_is_refused(tmp_path):
    assert versions.chosen_version(tmp_path / "new", None) == 1
    for name in ("1", "12", "latest", ".hidden"):
        (tmp_path / name).mkdir()
    assert versions.chosen_version(tmp_path, None) == 13
    assert versions.chosen_version(tmp_path, 5) == 5
    with pytest.raises(FileExistsError, match=r"Received 12, which exists\. Next free: 13"):
        versions.chosen_version(tmp_path, 12)
    for version in (0, -1, 1.0, True, "2"):
        with pytest.raises(ValueError, match="Expected a version number of at least 1"):
            versions.chosen_version(tmp_path, version)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="which is a file"):
        versions.chosen_version(tmp_path / "file", None)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_export_leaves_the_last_good_version_alone(model, folder, monkeypatch, failure):
    def fail(*_):
        raise failure

    monkeypatch.setattr(saved_model, "write_description", fail)
    with pytest.raises(type(failure)):
        export.save(model, folder.parent, tile=TILE, verify=False)
    assert [child.name for child in folder.parent.iterdir()] == ["1"]
    assert tf.saved_model.load(str(folder)).signatures


def test_a_killed_export_leaves_a_hidden_folder_that_the_next_one_clears(tmp_path):
    (tmp_path / "1").mkdir()
    script = """
import os, pathlib, signal, sys
from keras_unet.export.versions import version_folder
with version_folder(pathlib.Path(sys.argv[1]), 2) as folder:
    (folder / "saved_model.pb").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert process.returncode == -signal.SIGKILL
    left = sorted(child.name for child in tmp_path.iterdir())
    assert len(left) == 2
    assert left[0].startswith(".")
    assert versions.existing_versions(tmp_path) == [1]
    with versions.version_folder(tmp_path, 2) as folder:
        (folder / "saved_model.pb").write_bytes(b"whole")
    assert sorted(child.name for child in tmp_path.iterdir()) == ["1", "2"]
    assert (tmp_path / "2" / "saved_model.pb").read_bytes() == b"whole"


def test_versions_of_exports_killed_at_random_moments_load(tmp_path):
    """A process that exports one version after the other; some kills come before, in and after the rename."""
    script = """
import sys
sys.path.insert(0, sys.argv[2])
from test_export import TILE, export, net
model = net()
while True:
    print(export.save(model, sys.argv[1], tile=TILE, warm_up=(), verify=False), flush=True)
"""
    random = np.random.default_rng(0)
    for _ in range(3):
        exporter = subprocess.Popen(
            [sys.executable, "-c", script, tmp_path, str(ROOT / "tests")], stdout=subprocess.PIPE, text=True
        )
        assert exporter.stdout.readline()  # a first version is there
        time.sleep(random.uniform(0, 3))
        exporter.kill()
        exporter.communicate()
    numbers = versions.existing_versions(tmp_path)
    assert len(numbers) >= 3
    for number in numbers:
        signatures = tf.saved_model.load(str(tmp_path / str(number))).signatures
        assert signatures["classes"](images=tf.zeros((1, 3, 4, 3)))["classes"].shape == (1, 3, 4)
        assert export.read_description(tmp_path / str(number))["tile"]["height"] == TILE


def test_an_export_in_progress_is_not_cleared_by_another(tmp_path):
    with versions.version_folder(tmp_path, 1) as slow:
        (slow / "file").touch()
        with versions.version_folder(tmp_path, 2):
            pass
        assert (slow / "file").exists()
    assert sorted(child.name for child in tmp_path.iterdir()) == ["1", "2"]


def test_exports_at_the_same_time_leave_each_other_alone(tmp_path):
    def export_some(process):
        for index in range(40):
            with versions.version_folder(tmp_path, 1 + index + 40 * process) as folder:
                (folder / "file").touch()
                assert (folder / "file").exists()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(export_some, range(4)))
    assert versions.existing_versions(tmp_path) == list(range(1, 161))
    assert len(list(tmp_path.iterdir())) == 160


def test_a_full_disk_is_told_apart_from_full_memory(model, tmp_path, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(saved_model, "write_warm_up", full)
    with pytest.raises(OSError, match="No space left on device"):
        export.save(model, tmp_path / "m", tile=TILE, verify=False)
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "Graph execution error:\n\nInvalid PNG data, size 83\n\t [[{{node map/DecodePng}}]]",
            "Invalid PNG data, size 83",
        ),
        ("Expected x. Received y.\n\t [[{{node Assert}}]]", "Expected x. Received y."),
        ("\t [[{{node Assert}}]]", "The request was refused."),
        ("", "The request was refused."),
    ],
)
def test_a_refusal_is_told_without_nodes_of_the_graph(message, told):
    assert export.sentence(message) == told


def test_a_version_that_appears_meanwhile_is_not_overwritten(tmp_path):
    def race():
        with versions.version_folder(tmp_path, 1):
            (tmp_path / "1").mkdir()
            (tmp_path / "1" / "theirs").touch()

    with pytest.raises(FileExistsError, match="exists by now"):
        race()
    assert [child.name for child in tmp_path.rglob("*")] == ["1", "theirs"]


def test_a_server_of_another_user_may_read_the_version(tmp_path):
    before = os.umask(0o022)
    try:
        with versions.version_folder(tmp_path, 1):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o755


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
    base = versions.version_folder(tmp_path / name, versions.chosen_version(tmp_path / name, np.int64(3)))
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
