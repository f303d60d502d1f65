"""`keras-unet data-worker`: this machine makes batches for trainers."""

import threading

from keras_unet.data_service import InputMachine


def serve(address: str) -> None:
    """Serve until the process is ended.

    Args:
        address: `host:port` by which trainers reach this machine; the port above is taken too.

    Raises:
        OSError: If a port cannot be had.
    """
    host, _, port = address.rpartition(":")
    machine = InputMachine(host, int(port))
    print(f'Making batches for trainers with training.data_service = ["{machine.address}"].', flush=True)
    threading.Event().wait()  # TensorFlow's own join is deaf to Ctrl-C
