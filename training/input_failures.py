"""What a run leaves and says when a step fails: the batch that broke it, sizes that would fit, input that ended."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_unet.datasets.shard_reader import Records
from keras_unet.models.geometry import Geometry
from keras_unet.utils.atomic_files import written_aside

from .config import Config, Training
from .data_split import load_data


def keep_batch(folder: Path, dataset: tf.data.Dataset, number: int) -> Path:
    """Write the first batch of a dataset to `diverged-batch-<number>.npz`: `image`, `label` and `weight`.

    Raises:
        OSError: If it cannot be written.
    """
    image, label, weight = next(dataset.take(1).as_numpy_iterator())
    path = folder / f"diverged-batch-{number}.npz"
    with written_aside(path) as aside, open(aside, "wb") as file:
        np.savez(file, image=image, label=label, weight=weight)
    return path


_RECORD = re.compile(r"(?:corrupted|truncated) record at (\d+)")
_FORGOTTEN = "Unknown iteration client"  # how a dispatcher of tf.data service answers that has been restarted


@contextmanager
def input_explained(config: Config) -> Iterator[None]:
    """Tell in the run's terms that the batches ended: TensorFlow speaks of records and of clients.

    Raises:
        ValueError: If a record of a shard is damaged.
        ConnectionError: If an input machine was started anew and knows nothing of the run.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise ValueError(
            f"{_damaged(config, error)}: Expected the records that keras-unet shard wrote. Received: "
            f"{_last_line(error)}. Once the shards are whole again, the same command goes on from the last checkpoint."
        ) from error
    except tf.errors.OpError as error:
        machines = config.training.data_service
        if not (machines and _FORGOTTEN in error.message):
            raise
        which = machines[0] if len(machines) == 1 else f"one of {', '.join(machines)}"
        raise ConnectionError(
            f"Expected keras-unet data-worker to go on at {which}. Received one that was started anew, which knows "
            "nothing of this run. The same command goes on from the last checkpoint."
        ) from error


def _damaged(config: Config, error: tf.errors.OpError) -> str:
    """The shard that was damaged, or the folder of shards if it cannot be told."""
    found = _RECORD.search(error.message)
    try:
        samples = load_data(config.data).samples if found else None
    except (ValueError, OSError):  # the folder has changed meanwhile
        samples = None
    shard = samples.unreadable_shard(int(found[1])) if found and isinstance(samples, Records) else None
    return shard or config.data.path or "shards"


def _last_line(error: tf.errors.OpError) -> str:
    """What happened, without the places in the graph that it passed; where several operations saw it, told once."""
    found = _RECORD.search(error.message)
    return (
        found[0] if found else str(error.message).split("[[")[0].strip().splitlines()[-1].split("}} ")[-1].rstrip(".")
    )


def out_of_memory(settings: Training, geometry: Geometry, replicas: int = 1) -> str:
    """A sentence on a step that did not fit into the devices' memory, with smaller legal sizes.

    Args:
        settings: Section `[training]`.
        geometry: Sizes of the net.
        replicas: Devices that share a batch.
    """
    size, batch = settings.input_size, settings.batch_size
    advice = [*_smaller_batch(batch, settings.accumulate, replicas), *_smaller_tile(size, geometry)]
    return (
        f"Expected a step that fits into the memory of the device. Received too little for a batch of {batch} "
        f"tiles of {size} x {size} pixels: try {', or '.join([*advice, 'a smaller model.filters'])}."
    )


def _smaller_batch(batch: int, accumulate: int, replicas: int) -> list[str]:
    """The largest batch that makes the same update in equal parts."""
    divisors = [part for part in range(replicas, batch // 2 + 1, replicas) if batch % part == 0]
    if not divisors:
        return []
    part = divisors[-1]
    same = f"training.accumulate={accumulate * batch // part}"
    return [f"training.batch_size={part} with {same}, which is the same update"]


def _smaller_tile(size: int, geometry: Geometry) -> list[str]:
    """The largest legal tile of at most half the pixels."""
    below, _ = geometry.nearest_input_sizes(int(size / 2**0.5))
    return [] if below is None else [f"training.input_size={below}"]
