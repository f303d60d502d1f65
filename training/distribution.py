"""Which devices and machines a run uses, as a `tf.distribute` strategy, and how its worker processes agree.

Several machines run the same command. Each finds in the environment variable TF_CONFIG who takes part and which of
them it is, and trains on its own share of every batch.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.utils.addresses import check_port

from .cluster import Cluster, read_cluster
from .config import ConfigError

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class WorkerLostError(ConnectionError):
    """Another worker of the run ended or can no longer be reached."""


def choose_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """One device as it is; several with a copy of the model on each; several machines where TF_CONFIG names them.

    Args:
        devices: Names such as `"GPU:0"`; None takes every GPU of this machine, or the CPU if it has none. Of no
            meaning with TF_CONFIG, where each worker uses every GPU it sees.

    Raises:
        ConfigError: If TF_CONFIG cannot be used, or this worker's port is taken.
    """
    cluster = read_cluster()
    if cluster is not None and len(cluster.addresses) > 1:
        return _workers_strategy(cluster)
    if devices is None:
        devices = [f"GPU:{index}" for index in range(len(tf.config.list_logical_devices("GPU")))]
    return tf.distribute.MirroredStrategy(list(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


def _workers_strategy(cluster: Cluster) -> tf.distribute.Strategy:
    address = cluster.addresses[cluster.index]
    try:
        check_port(int(address.rpartition(":")[2]))
    except OSError as error:
        raise ConfigError(
            f"TF_CONFIG: Expected a free port at {address} for this worker. Received: {error.strerror}."
        ) from None
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        rpc_layer="grpc",
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise ConfigError(
            f"TF_CONFIG: Expected to join the workers {', '.join(cluster.addresses)} as {address}. "
            f"Received: {error.message.splitlines()[0]}."
        ) from error


def check_batch_size(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Refuse a batch that the devices cannot share evenly.

    Raises:
        ConfigError: With the nearest sizes that can be shared.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        below, above = batch_size // replicas * replicas, -(-batch_size // replicas) * replicas
        nearest = f"{above}" if below == 0 else f"{below} or {above}"
        raise ConfigError(
            f"training.batch_size: Expected a multiple of {replicas}, one share for each device. "
            f"Received {batch_size}. Nearest: {nearest}."
        )


class Workers:
    """The processes of a run under a strategy, and what the chief tells them. Alone, it costs nothing.

    What depends on a clock, a signal or a disk differs from worker to worker; they must decide alike, or wait for
    each other for ever. Every worker has to call the same methods in the same order.

    Args:
        strategy: What `choose_strategy` returned.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        resolver = getattr(strategy, "cluster_resolver", None)
        self.count = 1 if resolver is None else resolver.cluster_spec().num_tasks("worker")
        self.index = 0 if resolver is None else int(resolver.task_id)
        self._strategy = strategy
        self._sum = tf.function(self._sum_over_workers, reduce_retracing=True)

    @property
    def is_chief(self) -> bool:
        """Whether this worker reads and writes the run folder."""
        return self.index == 0

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds on any worker."""
        return flag if self.count == 1 else bool(self._sum(tf.constant(int(flag), tf.int64)) > 0)

    def chiefs(self, value: Any) -> Any:
        """The chief's value, of JSON's types, on every worker."""
        if self.count == 1:
            return value
        text = json.dumps(value).encode()
        length = self._sum(self._offer(np.int64(len(text))))
        codes = np.frombuffer(text.ljust(int(length))[: int(length)], np.uint8)
        return json.loads(bytes(self._sum(self._offer(codes.astype(np.int64))).numpy().astype(np.uint8)))

    def chiefs_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The chief's arrays on every worker; names, shapes and types must be the same on all."""
        if self.count == 1:
            return dict(arrays)
        received = {}
        for name, array in arrays.items():
            # Not every integer type can be sent.
            wire = array.astype(np.int64) if array.dtype.kind in "biu" else array
            received[name] = self._sum(self._offer(wire)).numpy().astype(array.dtype)
        return received

    def _offer(self, value: Any) -> tf.Tensor:
        return tf.constant(value if self.is_chief else np.zeros_like(value))

    def _sum_over_workers(self, value: tf.Tensor) -> tf.Tensor:
        def one() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # The first device of each worker speaks for it.
            first = context.replica_id_in_sync_group % (context.num_replicas_in_sync // self.count) == 0
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, value, tf.zeros_like(value)))

        return self._strategy.experimental_local_results(self._strategy.run(one))[0]


def iterate(strategy: tf.distribute.Strategy, dataset: tf.data.Dataset) -> Iterator[Any]:
    """An iterator for `strategy.run`: each replica gets its part of a batch.

    Args:
        strategy: What `choose_strategy` returned.
        dataset: Whole batches; of several workers each hands in its share of them.
    """
    workers = Workers(strategy)
    if workers.count == 1:
        return iter(strategy.experimental_distribute_dataset(dataset))
    replicas = strategy.num_replicas_in_sync // workers.count
    share = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    return iter(strategy.distribute_datasets_from_function(lambda _: dataset.rebatch(share // replicas)))


@contextmanager
def joined(strategy: tf.distribute.Strategy, folder: Path) -> Iterator[Path]:
    """Take part in a run: the block ends on all workers together, and tells in one sentence if one of them is lost.

    Args:
        strategy: What `choose_strategy` returned.
        folder: Of the run.

    Yields:
        The folder; on other workers than the chief one that is removed afterwards, so that all of them take the same
        steps and only one leaves something.

    Raises:
        WorkerLostError: Where TensorFlow says that a worker no longer answers.
    """
    workers = Workers(strategy)
    with ExitStack() as stack:
        if not workers.is_chief:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / folder.name
        try:
            try:
                yield folder
            except SystemExit:
                workers.any(False)  # schedulers end all workers when the first has ended: the chief may still write
                raise
            workers.any(False)
        except _LOST as error:
            if workers.count == 1:
                raise
            raise WorkerLostError(
                f"Expected all {workers.count} workers to go on. Received: {_cause(error)} Start all of them again; "
                "they go on from the last checkpoint."
            ) from error


def _cause(error: tf.errors.OpError) -> str:
    found = re.search(r"/job:worker/(?:replica:\d+/)?task:(\d+)", error.message)
    return f"worker {found[1]} no longer answers." if found else f"{error.message.splitlines()[-1]}."
