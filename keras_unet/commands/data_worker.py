"""`keras-unet data-worker`: this machine makes batches for trainers."""

import threading

from keras_unet.pipeline.data_service import InputMachine
from keras_unet.utils.addresses import SCHEME, check_address


def serve(address: str) -> None:
    """Serve until the process is ended.

    Args:
        address: `host:port` by which trainers reach this machine, `grpc://` before it or not; the port above is taken
            too.

    Raises:
        ValueError: If it has another form.
        OSError: If a port cannot be had.
    """
    name = address.removeprefix(SCHEME)
    check_address(f"{SCHEME}{name}")
    host, _, port = name.rpartition(":")
    machine = InputMachine(host, int(port))
    print(f'Making batches for trainers with training.data_service = ["{machine.address}"].', flush=True)
    threading.Event().wait()  # TensorFlow's own join is deaf to Ctrl-C
