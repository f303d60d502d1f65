"""Input machines: batches made elsewhere by tf.data service, in the order in which they would be made here.

Each input machine is a dispatcher and a worker of its own, and makes every n-th batch; a trainer reads them in turn. So
batches stay a function of their number, which a dispatcher with several workers does not promise.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_unet.utils.addresses import SCHEME, check_port, check_reachable


def through_service(every: Callable[[int, int], tf.data.Dataset], addresses: Sequence[str]) -> tf.data.Dataset:
    """Batches made by input machines.

    Args:
        every: From `first` and `step`, endless batches number `first`, `first + step` and so on. What it holds in
            memory is sent to the machines; shards are read by them.
        addresses: `grpc://host:port` of each machine, where `keras-unet data-worker` runs.

    Returns:
        The batches that `every(0, 1)` makes, in its order.

    Raises:
        ValueError: If an address has another form, or there is none.
        ConnectionError: If nobody listens at an address. A machine that is lost later is waited for.
    """
    if not addresses:
        raise ValueError("Expected the address of an input machine at least. Received none.")
    for address in addresses:
        check_reachable(address)
    service = tf.data.experimental.service
    streams = [
        every(number, len(addresses)).apply(service.distribute(service.ShardingPolicy.OFF, address))
        for number, address in enumerate(addresses)
    ]
    if len(streams) == 1:
        return streams[0]
    turns = tf.data.Dataset.range(len(streams)).repeat()
    return tf.data.Dataset.choose_from_datasets(streams, turns).prefetch(tf.data.AUTOTUNE)


class InputMachine:
    """A dispatcher and its worker, which serve as long as this object lives.

    Args:
        host: Name or address by which trainers reach this machine.
        port: Of the dispatcher; the worker takes the next one.

    Raises:
        OSError: If a port cannot be had.
    """

    def __init__(self, host: str, port: int) -> None:
        for number in (port, port + 1):
            try:
                check_port(number)
            except OSError as error:
                raise OSError(f"Expected port {number} to be free. Received: {error.strerror}.") from None
        service = tf.data.experimental.service
        self._dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
        config = service.WorkerConfig(f"{host}:{port}", worker_address=f"{host}:{port + 1}", port=port + 1)
        self._worker = service.WorkerServer(config)
        self.address = f"{SCHEME}{host}:{port}"
