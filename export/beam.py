"""Many images segmented in batch on Apache Beam (Dataflow, Flink, Spark, or locally), by an exported model.

Workers need TensorFlow and this package, no Keras. Needs the package apache-beam, the extra `beam`:

    with beam.Pipeline() as pipeline:
        segment_files(pipeline, "gs://scans/*.tif", "gs://models/em/1", "gs://results")
"""

import contextlib
import io
import posixpath
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from keras_unet.image_io.decoding import ImageError
from keras_unet.image_io.image_files import read_image

from .error_messages import sentence

try:
    import apache_beam as beam
    from apache_beam.io import fileio
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, PredictionResult, RunInference
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        'Expected the package apache-beam. Received none: pip install "keras-unet[beam]".'
    ) from None

_OUTPUTS = {"classes": "classes", "probabilities": "serving_default"}  # and the signatures that give them


class Segmented(NamedTuple):
    """What `segment_files` comes to.

    Args:
        written: Paths of the label images.
        failed: `(path, sentence)` of each image that was refused: damaged, or not fit for the model.
    """

    written: Any
    failed: Any


class SegmentationHandler(ModelHandler[NDArray[Any], PredictionResult, Any]):
    """Runs an exported model in Beam's `RunInference`: images in, class ids or probabilities out.

    Elements are raw images `(height, width, channels)`, each of its own size; every result's `inference` is
    `(height, width)` uint8 class ids, or `(height, width, num_classes)` float32 probabilities.

    Args:
        model: Version folder of the exported model, on any file system that TensorFlow reads.
        output: `"classes"` or `"probabilities"`.
        max_batch_size: The most images handed to a worker at a time; they are segmented one by one, since the model
            batches the tiles of an image itself.

    Raises:
        ValueError: If `output` is unknown; from the pipeline, if an image does not fit the model.
    """

    def __init__(self, model: str, output: str = "classes", max_batch_size: int = 1) -> None:
        if output not in _OUTPUTS:
            raise ValueError(f"Expected an output among {', '.join(_OUTPUTS)}. Received {output!r}.")
        super().__init__(max_batch_size=max_batch_size)
        self._model, self._output = str(model), output

    def load_model(self) -> Any:
        """The exported model; Beam calls this once per worker."""
        import tensorflow as tf

        return tf.saved_model.load(self._model)

    def run_inference(
        self, batch: Sequence[NDArray[Any]], model: Any, inference_args: Mapping[str, Any] | None = None
    ) -> Iterator[PredictionResult]:
        """The results of a batch of images, in order."""
        for image in batch:
            yield PredictionResult(image, self._segment(image, model), self._model)

    def update_model_path(self, model_path: str | None = None) -> None:
        """Take another version from now on; Beam calls this when it watches for new models."""
        self._model = model_path or self._model

    def get_num_bytes(self, batch: Sequence[NDArray[Any]]) -> int:
        """Bytes of the images of a batch, for Beam's metrics."""
        return sum(image.nbytes for image in batch)

    def get_metrics_namespace(self) -> str:
        """Name under which Beam files its metrics."""
        return "keras_unet"

    def _segment(self, image: NDArray[Any], model: Any) -> NDArray[Any]:
        import tensorflow as tf

        signature = model.signatures[_OUTPUTS[self._output]]
        dtype = signature.structured_input_signature[1]["images"].dtype
        if not (dtype.is_floating or np.can_cast(image.dtype, dtype.as_numpy_dtype)):
            raise ValueError(f"Expected {dtype.name} pixels as chosen at export. Received {image.dtype}.")
        try:
            answer = signature(images=tf.constant(image[None], dtype))[self._output]
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(sentence(error.message)) from None
        return np.asarray(answer[0])


def segment_files(pipeline: Any, pattern: str, model: str, out: str) -> Segmented:
    """Segment all image files of a pattern: `cells.tif` becomes `cells_labels.png` of class ids.

    An image that cannot be segmented stops no other. Files are written aside and renamed, so that a bundle that Beam
    runs twice leaves one whole file.

    Args:
        pipeline: A Beam pipeline, or a collection that starts one.
        pattern: Such as `"scans/*.tif"`, on any file system that Beam reads; names must differ without their folders.
        model: Version folder of the exported model.
        out: Folder for the results, made if need be.

    Returns:
        Collections of what was written and what failed.
    """
    files = pipeline | "Match" >> fileio.MatchFiles(pattern) | "Open" >> fileio.ReadMatches()
    images, unreadable = files | "Decode" >> beam.Map(_decoded).with_exception_handling(exc_class=ImageError)
    handler = KeyedModelHandler(SegmentationHandler(model))
    results, refused = images | "Segment" >> RunInference(handler).with_exception_handling(exc_class=ValueError)
    written = results | "Write" >> beam.MapTuple(lambda path, result: _write_labels(path, result.inference, out))
    failed = (
        unreadable | "Unreadable" >> beam.MapTuple(lambda file, error: (file.metadata.path, _message(error))),
        refused.failed_inferences | "Refused" >> beam.FlatMapTuple(_refusals),
    )
    return Segmented(written, failed | "Failed" >> beam.Flatten())


def _decoded(file: Any) -> tuple[str, NDArray[Any]]:
    """Path and `(height, width, channels)` of an image on any file system."""
    path = file.metadata.path
    with tempfile.NamedTemporaryFile(suffix=posixpath.splitext(path)[1]) as local:
        local.write(file.read())
        local.flush()
        try:
            return path, read_image(local.name)
        except ImageError as error:
            raise ImageError(str(error).replace(local.name, path)) from None


def _write_labels(path: str, labels: NDArray[np.uint8], out: str) -> str:
    """Write class ids as PNG, and tell where."""
    content = io.BytesIO()
    Image.fromarray(labels).save(content, format="PNG")
    if not FileSystems.exists(out):
        with contextlib.suppress(OSError):  # another worker was faster
            FileSystems.mkdirs(out)
    target: str = FileSystems.join(out, f"{PurePosixPath(path).stem}_labels.png")
    aside = f"{target}.{uuid.uuid4().hex}"
    with FileSystems.create(aside, "image/png") as file:
        file.write(content.getvalue())
    FileSystems.rename([aside], [target])
    return target


def _refusals(batch: Iterable[tuple[str, Any]], error: Any) -> list[tuple[str, str]]:
    return [(path, _message(error)) for path, _ in batch]


def _message(error: tuple[Any, str, list[str]]) -> str:
    """What an error said, from what Beam keeps of it: its type, its `repr` and its traceback."""
    return error[2][-1].partition(": ")[2].strip()
