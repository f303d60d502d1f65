"""What can be watched while a run goes on: log.csv, TensorBoard, a progress bar, and occasional lines elsewhere."""

import csv
import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from keras_unet.utils.atomic_files import naming, write_text
from keras_unet.visualization import overlays

from . import hyperparameters

Figures = Mapping[str, float]
Say = Callable[[str], None]

COLUMNS = (
    "step",
    "loss",
    "learning_rate",
    "images_per_second",
    "val_loss",
    "val_mean_iou",
    "val_mean_dice",
    "val_pixel_accuracy",
    "val_rand_error",
    "val_seg",
)

_SECONDS_BETWEEN_LINES = 30.0
_BUCKETS = 30

_SCALAR, _TENSOR, _BLOBS = 1, 2, 3  # TensorBoard's classes of data


class CsvLog:
    """A table of figures, a line for each step at which some were taken; written through at once.

    Args:
        path: The file; lines after `step`, left by a start that was cut short, are dropped.
        step: Where the run goes on.
        further: Columns after the usual ones.
    """

    def __init__(self, path: Path, step: int = 0, further: Sequence[str] = ()) -> None:
        self._path, self._columns = path, (*COLUMNS, *further)
        kept = [line for line in _read_table(path) if 0 < line["step"] <= step]
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_text(path, text.getvalue())

    def write(self, figures: Figures) -> None:
        """Add a line; columns without a figure stay empty."""
        with naming(self._path), open(self._path, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writerow({name: f"{value:.6g}" for name, value in figures.items()})


def last_step(path: Path) -> int:
    """The step of the last whole line of a log, 0 if there is none."""
    return max((line["step"] for line in _read_table(path)), default=0)


def _read_table(path: Path) -> list[dict[str, Any]]:
    """Whole lines of the table, the step as a number."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line.get("step", "").isdigit() and None not in line.values()]
    return [{**line, "step": int(line["step"])} for line in lines]


class Board:
    """Curves, pictures, histograms and hyperparameters for TensorBoard, which need not be installed to write them.

    Args:
        folder: Where event files go.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def scalars(self, figures: Figures, step: int) -> None:
        """A point in the curve of each figure."""
        with self._writer.as_default(step):
            for name, value in figures.items():
                if name != "step":
                    tag = name.replace("val_", "validation/", 1).replace("dead_", "dead_filters/", 1)
                    tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_metadata("scalars", _SCALAR))
        self._writer.flush()

    def panels(self, panels: Sequence[NDArray[np.uint8]], step: int) -> None:
        """Pictures of one size, `(height, width, 3)` each."""
        height, width = panels[0].shape[:2]
        encoded = [tf.io.encode_png(picture) for picture in panels]
        content = tf.stack([tf.constant(str(width)), tf.constant(str(height)), *encoded])
        with self._writer.as_default(step):
            tf.summary.write("validation/panels", content, metadata=_metadata("images", _BLOBS))
        self._writer.flush()

    def histograms(self, arrays: Mapping[str, NDArray[Any]], step: int) -> None:
        """How the values of each array, which are finite, are distributed."""
        with self._writer.as_default(step):
            for tag, values in arrays.items():
                tf.summary.write(tag, tf.constant(histogram(values)), metadata=_metadata("histograms", _TENSOR))
        self._writer.flush()

    def began(self, values: Mapping[str, hyperparameters.Value]) -> None:
        """The run began with these hyperparameters; of several starts TensorBoard takes the first."""
        self._session(hyperparameters.STARTED, hyperparameters.started(values))

    def ended(self) -> None:
        """The run has come to its end."""
        self._session(hyperparameters.ENDED, hyperparameters.ended())

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _session(self, tag: str, message: bytes) -> None:
        """All is in the metadata; the tensor is there because a summary has one."""
        with self._writer.as_default(0):
            tf.summary.write(tag, tf.zeros(1), metadata=_metadata("hparams", _TENSOR, message))
        self._writer.flush()


def _metadata(plugin: str, data_class: int, content: bytes = b"") -> tf.compat.v1.SummaryMetadata:
    """What `tf.summary.scalar` and the like would say; since TensorFlow 2.20 they need TensorBoard installed.

    Args:
        plugin: Part of TensorBoard that shows it.
        data_class: Scalar, tensor, or a sequence of blobs: width, height and encoded images.
        content: Message to the plugin.
    """
    metadata = tf.compat.v1.SummaryMetadata(data_class=data_class)
    metadata.plugin_data.plugin_name = plugin
    metadata.plugin_data.content = content
    return metadata


def histogram(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers of values in buckets of one width, `(30, 3)`: left and right end, count; as `tf.summary.histogram`.

    Values that are all the same are in the last of 30 buckets without width.
    """
    flat = np.asarray(values, np.float64).ravel()
    if flat.min() < flat.max():
        counts, edges = np.histogram(flat, _BUCKETS)
    else:
        counts, edges = np.eye(_BUCKETS)[-1] * flat.size, np.full(_BUCKETS + 1, flat[0])
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


def panel(
    image: NDArray[Any], label: NDArray[np.int32], weight: NDArray[np.float32], prediction: NDArray[Any]
) -> NDArray[np.uint8]:
    """Image, label, weight and prediction of a tile side by side.

    Args:
        image: `(height, width, channels)`, raw pixels; its centre as large as the label is shown.
        label: `(output_height, output_width)` classes.
        weight: The same shape as `label`, like `prediction`; the largest is brightest.
        prediction: Classes.

    Returns:
        `(output_height + caption, width of four panels, 3)`, RGB.
    """
    rows, columns = ((big - small) // 2 for big, small in zip(image.shape[:2], label.shape, strict=True))
    centre = image[rows : rows + label.shape[0], columns : columns + label.shape[1]]
    shown = {
        "image": overlays.grey_or_colour(centre),
        "label": overlays.coloured(label),
        "weight": overlays.heat(weight),
        "prediction": overlays.coloured(prediction),
    }
    return overlays.side_by_side(list(shown.values()), list(shown))


class Bar:
    """Progress with loss, metric and time left: a bar on a terminal, elsewhere a line now and then.

    Args:
        steps: Of the whole run.
        step: Where it goes on.
        say: Takes the occasional lines.
        terminal: Whether to draw a bar; None finds out.
    """

    def __init__(self, steps: int, step: int = 0, say: Say = print, terminal: bool | None = None) -> None:
        self._steps, self._first, self._say = steps, step, say
        self._begun = self._spoken = time.monotonic()
        self._timed = False
        shown = sys.stderr.isatty() if terminal is None else terminal
        self._bar = tqdm(total=steps, initial=step, unit="step", disable=not shown, dynamic_ncols=True)

    def update(self, step: int, figures: Figures) -> None:
        """Show how far the run is, and its latest figures."""
        text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(step - self._bar.n if not self._bar.disable else 0)
        now = time.monotonic()
        if not self._timed:  # the first steps, which compile, tell nothing about those to come
            self._first, self._begun, self._timed = step, now, True
        if self._bar.disable and (now - self._spoken >= _SECONDS_BETWEEN_LINES or step == self._steps):
            self._spoken = now
            left = f", {self._time_left(step, now)} left" if step > self._first or step == self._steps else ""
            self._say(f"step {step} of {self._steps}, {text}{left}")

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def _time_left(self, step: int, now: float) -> str:
        done = max(step - self._first, 1)
        seconds = round((self._steps - step) * (now - self._begun) / done)
        return f"{seconds // 60}:{seconds % 60:02d}"
