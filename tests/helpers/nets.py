"""Nets, their exports and what TensorFlow loads of those, each made once in a session: they cost seconds.

They are shared, and `predict` keeps what it compiled for a net: a test that trains or changes a net takes `new_net`,
one that alters a folder copies it.
"""

import functools
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_unet as ku
from keras_unet import export
from keras_unet.export import saved_model
from keras_unet.models.unet import UNet

_folders = {}
# Not what a test puts in their place; the package would keep that.
_load, _load_exported = ku.load_model, tf.saved_model.load


def new_net(seed=0, channels=1, **changes):
    """A net of random weights that depend on the seed alone; small unless `changes` say otherwise."""
    keras.utils.set_random_seed(seed)
    return UNet(**{"input_shape": (None, None, channels), "num_classes": 2, "filters": 2, "depth": 2, **changes})


net = functools.cache(new_net)


def noise(*shape, dtype=np.uint8, seed=0):
    """Pixels over the whole range of an integer dtype, or from 0 to 255."""
    high = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 255
    return np.random.default_rng(seed).integers(0, high, shape, endpoint=True).astype(dtype)


def exported(model, name="cells", **options):
    """The version folder of a model's export, without its proof."""
    key = model, name, json.dumps(options, sort_keys=True)
    if key not in _folders:
        _folders[key] = export.save(model, Path(_scratch().name, str(len(_folders)), name), verify=False, **options)
    return _folders[key]


@functools.cache
def loaded(folder):
    """What TensorFlow loads from a version folder."""
    return _load_exported(str(folder))


def load_once(path):
    """The net in a file, as it is now; of a folder as always."""
    if not Path(path).is_file():
        return _load(path)
    facts = Path(path).stat()
    return _loaded_net(Path(path).resolve(), facts.st_size, facts.st_mtime_ns)


@functools.cache
def _loaded_net(path, size, changed):
    return _load(path)


def skip_the_graph(monkeypatch):
    """Let `export.save` write a module without a net: enough where only folders and versions count."""
    monkeypatch.setattr(saved_model, "module_with_signatures", lambda *_: (tf.Module(), {}))


def skip_the_proof(monkeypatch):
    """Let `export.save` take a model for proved."""
    figures = {"largest_difference": 0.0, "difference_to_float32": 0.01, "seconds_per_tile": 0.01, "images": [[1, 1]]}
    monkeypatch.setattr(saved_model, "compared", lambda *_: figures)


def skip_the_process(monkeypatch):
    """Let the proof of an export run in this process, which has Keras, instead of one that has not."""

    def answers_and_seconds(folder, images, signature):
        module = tf.saved_model.load(str(folder))
        segment = module.signatures[signature]
        return [next(iter(segment(images=tf.constant(image)).values())).numpy() for image in images], 0.01

    monkeypatch.setattr("keras_unet.export.verification._answers_and_seconds", answers_and_seconds)


@functools.cache
def _scratch():
    return tempfile.TemporaryDirectory(prefix="keras-unet-tests-")
