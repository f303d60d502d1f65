"""Batches made by input machines, here two in this process: those that would be made without, in the same order."""

import socket
import threading
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from keras_unet.commands import data_worker
from keras_unet.commands.data_worker import serve
from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.models.geometry import Geometry
from keras_unet.pipeline.data_service import InputMachine, through_service
from keras_unet.pipeline.examples import prepare
from keras_unet.pipeline.tile_datasets import training_dataset
from keras_unet.training.config import ConfigError, config_from_dict
from keras_unet.training.input_failures import input_explained
from keras_unet.utils.addresses import check_address, check_reachable


def free_port() -> int:
    """A port that is free, as is the one above."""
    for port in range(23000, 32000, 2):
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("", number))
        except OSError:
            continue
        return port
    raise OSError("no free ports")


@pytest.fixture(scope="module")
def machines() -> list[InputMachine]:
    return [InputMachine("127.0.0.1", free_port()) for _ in range(2)]


@pytest.mark.parametrize("cut_only", [False, True])
def test_batches_come_in_the_order_of_their_numbers(machines: list[InputMachine], cut_only: bool) -> None:
    """From two machines, resumed in the middle; of tiles, or of what they are made of."""
    examples, net = prepare(synthetic(3, 48)), Geometry(depth=1)
    batches = partial(training_dataset, examples, net, 36, batch_size=2, seed=3, cut_only=cut_only)

    def every(first: int, stride: int) -> object:
        return batches(first_batch=3 + first, stride=stride)

    served = through_service(every, [machine.address for machine in machines])  # type: ignore[arg-type]
    for expected, received in zip(batches(first_batch=3).take(5), served.take(5), strict=True):
        for part, same in zip(tf.nest.flatten(expected), tf.nest.flatten(received), strict=True):
            np.testing.assert_array_equal(part, same)


def test_a_port_that_is_taken_is_told(machines: list[InputMachine]) -> None:
    port = int(machines[0].address.rpartition(":")[2])
    with pytest.raises(OSError, match=f"Expected port {port} to be free. Received: Address already in use"):
        InputMachine("127.0.0.1", port)


def test_a_machine_where_nobody_listens_is_told() -> None:
    with pytest.raises(ConnectionError, match="Expected keras-unet data-worker at grpc://127.0.0.1:.* refused"):
        through_service(lambda first, stride: pytest.fail("asked for batches"), [f"grpc://127.0.0.1:{free_port()}"])


@pytest.mark.parametrize(("answer", "received"), [(None, "timed out"), (b"HTTP/1.1 400 Bad Request", "another kind")])
def test_a_server_of_another_kind_is_told(answer: bytes | None, received: str) -> None:
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve_one() -> None:
            connection, _ = server.accept()
            held.append(connection)
            if answer is not None:
                connection.recv(1000)
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve_one, daemon=True).start()
        address = f"grpc://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"Expected keras-unet data-worker at {address}. .*{received}"):
            check_reachable(address, seconds=2)


@pytest.mark.parametrize("address", ["host:5000", "grpc://host", "grpc://:5000", "grpc://host:x", "grpc://host:70000"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"Expected (an address grpc://host:port\.|HOST:PORT, such as) .*Received"):
        check_address(address)
    with pytest.raises(ConfigError, match="training.data_service"):
        config_from_dict({"training": {"data_service": [address]}})


@pytest.mark.parametrize("text", ["5000", "host", ":5000", "http://host:5000"])
def test_a_machine_takes_host_and_port_and_is_answered_with_what_it_was_given(text: str) -> None:
    with pytest.raises(ValueError, match=f"Expected HOST:PORT, such as .* Received '{text}'"):
        serve(text)


def test_a_machine_takes_its_address_as_trainers_write_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(host: str, port: int) -> None:
        raise OSError(f"{host} and {port}")

    monkeypatch.setattr(data_worker, "InputMachine", refuse)
    for text in ("10.0.0.7:5000", "grpc://10.0.0.7:5000"):
        with pytest.raises(OSError, match="^10.0.0.7 and 5000$"):
            serve(text)


def test_a_machine_that_was_started_anew_ends_the_run_with_a_sentence() -> None:
    """What TensorFlow raises then, word for word."""
    message = (
        "Failed to get tasks: Unknown iteration client id 3000. The dispatcher is not configured to be fault tolerant, "
        "so this could be caused by a dispatcher restart."
    )
    config = config_from_dict({"training": {"data_service": ["grpc://a:1", "grpc://b:1"]}})
    anew = "one of grpc://a:1, grpc://b:1. Received one that was started anew"
    with pytest.raises(ConnectionError, match=anew), input_explained(config):
        raise tf.errors.NotFoundError(None, None, message)
    with pytest.raises(tf.errors.NotFoundError), input_explained(config):
        raise tf.errors.NotFoundError(None, None, "Something else.")
