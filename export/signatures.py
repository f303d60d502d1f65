"""The graph of an exported model: raw or encoded images of any size in, probabilities, class ids or objects out.

Shapes are checked in the graph, since a server feeds it whatever a client sends. Inputs are declared without a rank:
with a rank and open axes TensorFlow folds the checks away, and a request of another rank aborts the process.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from keras_unet.inference.forward import Forward, classes, probabilities
from keras_unet.inference.tiling import Tiler
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.models.unet import UNet
from keras_unet.preprocessing.image_statistics import BY_STATISTICS
from keras_unet.preprocessing.pixel_normalization import statistics_of

from . import graph_image_codecs, graph_instances

INPUT_DTYPES = ("float32", "uint8", "uint16", "int16")
MAX_CLASSES = 255

Tensors = dict[str, tf.Tensor]

_STATISTICS = tf.TensorSpec(None, tf.float32, name="statistics")


@dataclass(frozen=True)
class Serving:
    """How a net is served.

    Args:
        tiler: How images are cut.
        input_dtype: Dtype of raw images, one of `INPUT_DTYPES`; pixels become float32 tile by tile.
        averaging: Test-time averaging, a name in `keras_unet.inference.forward.AVERAGING`.
        max_pixels: The most pixels of an encoded image, told from its header.
        objects: How objects are found; None for a net without a signature for them.
    """

    tiler: Tiler
    input_dtype: str = "float32"
    averaging: str = "none"
    max_pixels: int = 2**26
    objects: InstanceSettings | None = None


def module_with_signatures(
    model: UNet, serving: Serving, description: Mapping[str, Any]
) -> tuple[tf.Module, dict[str, Any]]:
    """What `tf.saved_model.save` takes: a module that owns the weights, and its traced signatures.

    Args:
        model: The net. Only what inference needs is kept: no optimizer, no metrics, no random state.
        serving: How it is served.
        description: What the signature `description` answers.

    Returns:
        The module and the signatures, those of `keras_unet.export.save`.
    """
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    images = _Images(model, serving)
    functions = {"description": _description(json.dumps(description, ensure_ascii=False))}
    # A piece of an image does not show the statistics by which the whole image is normalised.
    for given in (False, True) if model.normalizes_images else (False,):
        suffix = BY_STATISTICS if given else ""
        functions[f"serving_default{suffix}"] = _from_images(images.probabilities, "probabilities", serving, given)
        functions[f"classes{suffix}"] = _from_images(images.classes, "classes", serving, given)
        if model.channels in (1, 3) and serving.input_dtype != "int16":  # which PNG has not
            functions[f"image_bytes{suffix}"] = _from_files(images, given)
    if serving.objects is not None:
        objects = partial(images.instances, settings=serving.objects)
        functions["instances"] = _from_images(objects, "instances", serving)
    return module, {name: function.get_concrete_function() for name, function in functions.items()}


def checked_images(images: tf.Tensor, channels: int) -> tf.Tensor:
    """`images` as `(batch, height, width, channels)`; graph operations that answer INVALID_ARGUMENT if they are not.

    Args:
        images: A tensor of unknown rank.
        channels: Channels of the net.
    """
    shape = tf.shape(images)
    first_four = tf.concat([shape, [0] * 4], axis=0)[:4]  # padded, so that it exists at every rank
    legal = (tf.size(shape) == 4) & (first_four[3] == channels) & tf.reduce_all(first_four[1:3] > 0)
    expected = f"images of shape (batch, height, width, {channels}) with at least one pixel"
    with graph_image_codecs.required(legal, expected, ["shape (", _listed(shape), ")"]):
        return tf.ensure_shape(tf.identity(images), (None, None, None, channels))


def checked_statistics(statistics: tf.Tensor, count: tf.Tensor, channels: int) -> tf.Tensor:
    """Means and standard deviations of `count` images as `(count, 2, channels)`; INVALID_ARGUMENT if they are not."""
    shape = tf.shape(statistics)
    expected = f"statistics of shape (batch, 2, {channels})"
    first_three = tf.concat([shape, [0] * 3], axis=0)[:3]
    legal = (tf.size(shape) == 3) & tf.reduce_all(first_three == [count, 2, channels])
    with graph_image_codecs.required(legal, expected, ["shape (", _listed(shape), ")"]):
        statistics = tf.ensure_shape(tf.identity(statistics), (None, 2, channels))
    positive = tf.reduce_all(tf.math.is_finite(statistics)) & tf.reduce_all(statistics[:, 1] > 0.0)
    with graph_image_codecs.required(positive, "finite statistics with positive standard deviations", ["others"]):
        return tf.identity(statistics)


class _Images:
    """What a net makes of `(batch, height, width, channels)` images."""

    def __init__(self, model: UNet, serving: Serving) -> None:
        self.channels = model.channels
        self.serving = serving
        self._normalizes_images = model.normalizes_images
        self._probabilities = probabilities(model, serving.averaging)
        self._classes = classes(model, serving.averaging)

    def probabilities(self, images: tf.Tensor, statistics: tf.Tensor | None = None) -> tf.Tensor:
        return self._tiled(images, *self._probabilities, statistics)

    def classes(self, images: tf.Tensor, statistics: tf.Tensor | None = None) -> tf.Tensor:
        return self._tiled(images, *self._classes, statistics)

    def instances(self, images: tf.Tensor, settings: InstanceSettings) -> tf.Tensor:
        def foreground(tiles: tf.Tensor) -> tf.Tensor:
            return graph_image_codecs.foreground(self._probabilities[0](tiles))

        cells = self._tiled(images, foreground, tf.TensorSpec((), tf.float32))
        return tf.cond(
            tf.shape(cells)[0] > 0,
            lambda: tf.map_fn(
                partial(graph_instances.instances, settings=settings),
                cells,
                parallel_iterations=1,
                fn_output_signature=tf.TensorSpec((None, None), tf.int32),
            ),
            lambda: tf.zeros(tf.shape(cells), tf.int32),  # no images, no shape to stack by
        )

    def _tiled(
        self, images: tf.Tensor, forward: Forward, pixel: tf.TensorSpec, statistics: tf.Tensor | None = None
    ) -> tf.Tensor:
        images = checked_images(images, self.channels)
        if statistics is not None:
            statistics = checked_statistics(statistics, tf.shape(images)[0], self.channels)
        elif self._normalizes_images:
            statistics = statistics_of(images)
        return self.serving.tiler(images, forward, pixel, statistics)


def _from_images(
    segment: Callable[..., tf.Tensor], output: str, serving: Serving, given_statistics: bool = False
) -> tf.types.experimental.PolymorphicFunction:
    def signature(images: tf.Tensor, *statistics: tf.Tensor) -> Tensors:
        return {output: segment(images, *statistics)}

    def by_statistics(images: tf.Tensor, statistics: tf.Tensor) -> Tensors:
        return signature(images, statistics)

    spec = tf.TensorSpec(None, serving.input_dtype, name="images")
    return _function(by_statistics, spec, _STATISTICS) if given_statistics else _function(signature, spec)


def _from_files(images: _Images, given_statistics: bool) -> tf.types.experimental.PolymorphicFunction:
    bits = 8 if images.serving.input_dtype == "uint8" else 16
    limits = graph_image_codecs.Limits(images.channels, bits, images.serving.max_pixels)
    text, size = tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)
    results = {"label_png_bytes": text, "probability_png_bytes": text, "height": size, "width": size}

    def one(file: tf.Tensor, *statistics: tf.Tensor) -> Tensors:
        answer = images.probabilities(
            graph_image_codecs.decode(file, limits)[None], *(part[None] for part in statistics)
        )[0]
        height, width = tf.unstack(tf.shape(answer)[:2])
        return {
            "label_png_bytes": graph_image_codecs.label_png(answer),
            "probability_png_bytes": graph_image_codecs.probability_png(answer),
            "height": height,
            "width": width,
        }

    def signature(image_bytes: tf.Tensor) -> Tensors:
        return dict(tf.map_fn(one, _listed_files(image_bytes), parallel_iterations=1, fn_output_signature=results))

    def by_statistics(image_bytes: tf.Tensor, statistics: tf.Tensor) -> Tensors:
        files = _listed_files(image_bytes)
        each = files, checked_statistics(statistics, tf.size(files), images.channels)
        return dict(tf.map_fn(lambda pair: one(*pair), each, parallel_iterations=1, fn_output_signature=results))

    spec = tf.TensorSpec(None, tf.string, name="image_bytes")
    return _function(by_statistics, spec, _STATISTICS) if given_statistics else _function(signature, spec)


def _description(text: str) -> tf.types.experimental.PolymorphicFunction:
    def signature(request: tf.Tensor) -> Tensors:
        return {"description": tf.fill(tf.shape(request), text)}

    return _function(signature, tf.TensorSpec(None, tf.string, name="request"))


def _listed_files(files: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(files)
    with graph_image_codecs.required(
        tf.size(shape) == 1, "encoded images of shape (batch,)", ["shape (", _listed(shape), ")"]
    ):
        return tf.ensure_shape(tf.identity(files), (None,))


def _listed(shape: tf.Tensor) -> tf.Tensor:
    return tf.strings.reduce_join(tf.strings.as_string(shape), separator=", ")


def _function(signature: Callable[..., Tensors], *specs: tf.TensorSpec) -> tf.types.experimental.PolymorphicFunction:
    return tf.function(signature, input_signature=specs, autograph=False)
