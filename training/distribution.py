"""Which devices a run uses, as a `tf.distribute` strategy."""

from collections.abc import Sequence

import tensorflow as tf

from .config import ConfigError


def choose_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """One device as it is; several with a copy of the model on each (`MirroredStrategy`).

    Args:
        devices: Names such as `"GPU:0"`; None takes every GPU of this machine, or the CPU if it has none.
    """
    if devices is None:
        devices = [f"GPU:{index}" for index in range(len(tf.config.list_logical_devices("GPU")))]
    return tf.distribute.MirroredStrategy(list(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


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
